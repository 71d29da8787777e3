/**
 * The daemon with backend log-only, which needs no namespace: its log, and a jail whose log does
 * not exist.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { openDescriptors } from '../../scripts/lab/descriptors.ts';
import { temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';

const home = temporaryDirectory();
afterAll(() => home.remove());

test('a dry run says once what it would do, and which jail reads nothing until its log comes', async () => {
  const auth = join(home.path, 'auth.log');
  const mail = join(home.path, 'mail.log');
  writeFileSync(auth, '');
  const daemon = await Daemon.start(
    home.path,
    `[firewall]
backend = "log-only"
[metrics]
enabled = false
[jails.sshd]
logpath = "${auth}"
maxretry = 1
[jails.postfix]
logpath = "${mail}"
`,
  );
  try {
    const unread = `jail postfix reads no log: no file matches ${mail}`;
    const notRead = daemon.said.filter((line) => / warn jail reads no log /.test(line));
    expect(notRead.map((line) => line.split(' warn ')[1])).toEqual([
      `jail reads no log until a file matches jail=postfix logpath=${mail}`,
    ]);
    expect((await daemon.status()).problems).toEqual(['log-only: nothing is banned', unread]);

    writeFileSync(mail, '');
    await until(async () => !(await daemon.status()).problems.includes(unread), { what: 'the log that came is read' });

    const time = new Date().toISOString();
    appendFileSync(auth, `${time} host sshd[7]: Failed password for root from 192.0.2.7 port 40022 ssh2\n`);
    const told = (): string[] => daemon.said.filter((line) => line.includes('192.0.2.7'));
    await until(async () => (await daemon.bans()).has('sshd 192.0.2.7'), { what: 'the ban' });
    expect(told().map((line) => line.split(' info ')[1])).toEqual(['would ban jail=sshd address=192.0.2.7']);
  } finally {
    await daemon.stop();
  }
});

test('the daemon holds no descriptor that its caller left open', async () => {
  const leaked = join(home.path, 'leaked');
  const settings = join(home.path, 'fail2zig.toml');
  writeFileSync(
    settings,
    `[firewall]
backend = "log-only"
[metrics]
enabled = false
[state]
enabled = false
[control]
enabled = false
[jails.sshd]
logpath = "${join(home.path, 'auth.log')}"
`,
    { mode: 0o600 },
  );
  // Node marks the first descriptors that it inherits itself, up to a gap.
  const script = 'exec 200>"$0" && exec setpriv --pdeathsig KILL "$1" --config "$2"';
  const command = join(import.meta.dirname, '../../bin/fail2zig');
  const daemon = spawn('bash', ['-c', script, leaked, command, settings], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(daemon, 'exit');
  let said = '';
  daemon.stderr!.on('data', (chunk) => {
    said += chunk;
  });
  await until(() => said.includes(' started '), { what: 'the start' });
  const open = [...openDescriptors(daemon.pid).values()];
  expect(open).not.toContain(leaked);
  expect(open.length).toBeGreaterThan(5);
  daemon.kill();
  await ended;
});
