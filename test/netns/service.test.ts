/**
 * The daemon under a service manager: readiness, watchdog signals, the status line, the stop.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { temporaryDirectory } from '../support/control.ts';
import { FakeServiceManager } from '../support/service-manager.ts';
import { until } from '../support/until.ts';

const home = temporaryDirectory();
afterAll(() => home.remove());

const settings = (log: string): string => `[firewall]
backend = "log-only"
[metrics]
enabled = false
[jails.sshd]
logpath = "${log}"
`;

test.each([
  ['a path', join(home.path, 'notify')],
  ['an abstract name', `@fail2zig-test-${process.pid}`],
])('the service manager at %s hears of readiness, life and stop, from the daemon itself', async (_, path) => {
  const log = join(home.path, 'auth.log');
  writeFileSync(log, '');
  const manager = await FakeServiceManager.start(path);
  try {
    process.env.NOTIFY_SOCKET = path;
    process.env.WATCHDOG_USEC = '300000';
    const daemon = await Daemon.start(home.path, settings(log));
    const { pid } = daemon;
    await until(() => manager.told.length >= 3, { what: 'two signs of life' });
    await daemon.stop();
    await until(() => manager.told.at(-1)?.text.startsWith('STOPPING') ?? false, { what: 'the stop' });
    const status = 'STATUS=log-only, jails: 1, bans since the start: 0; log-only: nothing is banned';
    expect(manager.told[0]).toEqual({ text: `READY=1\n${status}`, pid });
    const last = manager.told.at(-1);
    expect(last).toEqual({ text: 'STOPPING=1\nSTATUS=stopping', pid });
    for (const told of manager.told.slice(1, -1)) expect(told).toEqual({ text: `WATCHDOG=1\n${status}`, pid });
  } finally {
    delete process.env.NOTIFY_SOCKET;
    delete process.env.WATCHDOG_USEC;
    await manager.stop();
  }
});

test('a service manager that is not there keeps nothing from starting', async () => {
  process.env.NOTIFY_SOCKET = join(home.path, 'nobody');
  try {
    const daemon = await Daemon.start(home.path, settings(join(home.path, 'auth.log')));
    expect(daemon.said.join('\n')).toMatch(/warning: the service manager at .*nobody hears nothing \(errno 2\)/);
    expect(await daemon.stop()).toBe(0);
  } finally {
    delete process.env.NOTIFY_SOCKET;
  }
});
