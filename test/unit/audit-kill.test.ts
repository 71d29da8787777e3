/**
 * kill -9 of the real daemon at random instants while it writes its audit log: what it leaves is
 * not mistaken for a change by somebody, and each start continues the log. AUDIT_KILLS sets the
 * number of kills, SEED repeats a run.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { call } from '../../src/client/call.ts';
import { verifyLog } from '../support/audit.ts';
import { temporaryDirectory } from '../support/control.ts';

const kills = Number(process.env.AUDIT_KILLS ?? 10);
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
/** The daemon is killed within this time after its first record, ms. */
const pauseMs = 400;

const home = temporaryDirectory();
afterEach(() => home.remove());

/** Bans and unbans until the daemon is gone. */
async function command(socket: string, round: number): Promise<void> {
  for (let count = 0; ; count++) {
    const addresses = Array.from({ length: 20 }, (_, index) => `10.${round % 256}.${count % 256}.${index}`);
    const answer = await call(socket, { verb: 'ban', args: { jail: 'sshd', addresses, seconds: 600 } }).catch(
      () => null,
    );
    if (answer === null) return;
    await call(socket, { verb: 'unban', args: { addresses } }).catch(() => null);
  }
}

test(`kill -9, ${kills} times: no false alarm`, { timeout: 60_000 + kills * 5_000 }, async () => {
  console.log(`kill test: SEED=${seed} AUDIT_KILLS=${kills}`);
  const log = join(home.path, 'auth.log');
  writeFileSync(log, '');
  const settings = `[firewall]
backend = "log-only"
[metrics]
enabled = false
[audit]
size = "1MB"
[jails.sshd]
logpath = "${log}"
`;
  const audit = join(home.path, 'state', 'state.dry-run.history');
  let random = seed;
  let last = 0;
  let torn = 0;
  for (let kill = 0; kill < kills; kill++) {
    const daemon = await Daemon.start(home.path, settings);
    const commands = [command(daemon.socket, kill), command(daemon.socket, kill + 100)];
    random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    await pause((random >> 8) % pauseMs);
    await daemon.kill();
    await Promise.all(commands);
    const found = await verifyLog(audit);
    expect(found.findings, `after kill ${kill}`).toEqual([]);
    expect(found.last).toBeGreaterThanOrEqual(last);
    last = found.last;
    torn += found.notes.filter(({ problem }) => problem.startsWith('an unfinished')).length;
  }
  console.log(`${last} records, ${torn} unfinished writes`);
  // Otherwise nothing was written.
  expect(last).toBeGreaterThan(20 * kills);
});
