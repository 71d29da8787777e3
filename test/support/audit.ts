/**
 * `fail2zig audit`, run in this process, and a log to try it on.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { vi } from 'vitest';
import { run } from '../../src/commands/audit.ts';
import type { Finding } from '../../src/commands/chain-check.ts';
import { fileAt, sealPath } from '../../src/history/chain.ts';
import { Recorder } from '../../src/history/recorder.ts';
import { auditFilesMax } from '../../src/limits.ts';
import { rememberingLog } from './control.ts';

export interface Verified {
  whole: boolean;
  records: number;
  first: number;
  last: number;
  unsealed: number;
  findings: Finding[];
  notes: Finding[];
}

/** What the command prints, and its exit status. */
export async function audit(...argv: string[]): Promise<{ out: string; error: string; status: number }> {
  let [out, error] = ['', ''];
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    error += text;
    return true;
  });
  try {
    const status = await run(argv);
    return { out, error, status };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

/** The result of `audit verify` for the log at `path`. `known`: what was kept elsewhere. */
export async function verifyLog(path: string, known?: string): Promise<Verified> {
  const { out, error, status } = await audit('verify', '--json', '--log', path, ...(known ? ['--known', known] : []));
  if (out === '') throw new Error(error);
  const found = JSON.parse(out) as Verified;
  if (found.whole !== (status === 0)) throw new Error(`status ${status}: ${out}`);
  return found;
}

/**
 * Makes a log of some files, with records of all kinds and a write that a crash cut off; returns
 * its files, the oldest first, and what its seal holds.
 */
export async function writeAudited(path: string): Promise<string[]> {
  const by = { uid: 1000, pid: 7 };
  const details = () => ({
    until: -1,
    seconds: -1,
    failures: 5,
    pattern: 'failed',
    file: '/var/log/\u00e4',
    offset: 7,
  });
  for (const round of [0, 1]) {
    const recorder = new Recorder({ path, log: rememberingLog(), bytes: 12_000 });
    await recorder.start();
    for (let index = 0; index < 6; index++) {
      recorder.bans('ban', 'sshd', [{ address: `192.0.2.${index}`, details }]);
      recorder.command(`ban addresses=198.51.100.${index} reason="${round}"`, by);
      recorder.refused('for root only', { command: 'set', by });
      recorder.bans('unban', 'sshd', [{ address: `2001:db8::${index}` }], { by, reason: 'mine' });
      await recorder.flush();
    }
    await recorder.close();
    if (round === 0) appendFileSync(path, '{"number":25,"at":1763687728.5,"event":"ban","ja');
  }
  const files = [...Array(auditFilesMax).keys()].map((age) => fileAt(path, age)).filter((file) => existsSync(file));
  return [...files.toReversed(), sealPath(path)].map((file) => readFileSync(file, 'latin1'));
}
