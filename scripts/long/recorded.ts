/**
 * `node scripts/long/recorded.ts SCRIPT PROGRAM …`: how npm starts a program whose runs may be
 * recorded. With `--record` among the parameters the run is recorded (record.ts), whether it
 * succeeds or not, unless somebody interrupts it; without it the program just runs. Exit status:
 * the program's.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { load, machine } from '../lab/machine.ts';
import { buildHash, figuresVariable, nameOf, notedIn, recordText, writeRecord } from './record.ts';

const [script = '', program = '', ...given] = process.argv.slice(2);
const parameters = given.filter((word) => word !== '--record');
const wanted = parameters.length < given.length;
// Parameters from package.json itself (vitest's configuration) are not part of the command.
const typed = parameters.slice(Math.max(0, parameters.indexOf('--') + 1));
const handed = parameters.filter((word) => word !== '--');

/** A run that a signal ended says nothing about the code: the record before it stays. */
const interrupted = ['SIGHUP', 'SIGINT', 'SIGTERM'].map((name) => 128 + constants.signals[name as NodeJS.Signals]);

/** Exit status like a shell's, a signal as 128 plus its number. */
function run(env: NodeJS.ProcessEnv): number {
  const { status, signal } = spawnSync(process.execPath, [program, ...handed], { stdio: 'inherit', env });
  return status ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

function recorded(): number {
  const scratch = mkdtempSync(join(tmpdir(), 'fail2zig-record-'));
  const figures = join(scratch, 'figures');
  // The files on disk may change while it runs.
  const before = { build: buildHash(), machine: machine(), loadBefore: load() };
  const started = performance.now();
  try {
    const status = run({ ...process.env, [figuresVariable]: figures });
    if (interrupted.includes(status)) {
      console.error('interrupted: nothing is recorded');
      return status;
    }
    const record = {
      name: nameOf(script, typed),
      command: ['npm run', script, ...(typed.length > 0 ? ['--', ...typed] : [])].join(' '),
      date: new Date().toISOString(),
      seconds: Math.round((performance.now() - started) / 100) / 10,
      ok: status === 0,
      ...before,
      loadAfter: load(),
      ...notedIn(figures),
    };
    console.log(`recorded in ${writeRecord(record)}: ${recordText(record, before.build)}`);
    return status;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exit(wanted ? recorded() : run(process.env));
