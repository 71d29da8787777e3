/** What the service manager is told: signs of life come well before its time limit. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { notifyVariable, ServiceManager } from '../../src/service.ts';
import { temporaryDirectory } from '../support/control.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** What is sent within this many ms, to a file in place of the socket. */
function saidWithin(ms: number, variables: NodeJS.ProcessEnv): string {
  vi.useFakeTimers();
  const directory = temporaryDirectory();
  const path = join(directory.path, 'said');
  const fd = openSync(path, 'a');
  try {
    const manager = new ServiceManager({ [notifyVariable]: `${fd}`, ...variables });
    manager.ready(() => 'all is\nwell');
    vi.advanceTimersByTime(ms);
    manager.stopping();
    return readFileSync(path, 'utf8');
  } finally {
    closeSync(fd);
    directory.remove();
  }
}

const status = 'STATUS=all is\\nwell';

test('the start, three signs of life in the time of the watchdog, and the stop', () => {
  const signs = ['READY=1', 'WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1'].map((sign) => `${sign}\n${status}`);
  expect(saidWithin(3_000, { WATCHDOG_USEC: '3000000' })).toBe(`${signs.join('')}STOPPING=1\nSTATUS=stopping`);
});

test('a watchdog of another process is ignored, and without a socket nothing is sent', () => {
  const other = saidWithin(3_000, { WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1' });
  expect(other).toBe(`READY=1\n${status}STOPPING=1\nSTATUS=stopping`);
  expect(saidWithin(3_000, { [notifyVariable]: undefined, WATCHDOG_USEC: '3000000' })).toBe('');
});
