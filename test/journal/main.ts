/**
 * `npm run test:journal`: the journal source beside systemd's own programs, from Debian's packages.
 * It needs root and `unshare`; everything it starts is in a mount namespace and ends with it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { note } from '../../scripts/long/record.ts';
import { driveJournal, type TakenEntry } from '../support/journal-sink.ts';
import type { JournalForm } from '../support/journal-writer.ts';
import { until } from '../support/until.ts';
import { Journald, journalctl, writeLines } from './journald.ts';
import { killed } from './killed.ts';
import { latency } from './latency.ts';
import { environment, programs, unpackPackages } from './packages.ts';

if (process.argv[2] !== 'inside') {
  unpackPackages();
  const inside = ['-n', '-m', '--propagation', 'private', process.execPath, import.meta.filename, 'inside'];
  process.exit(spawnSync('unshare', inside, { stdio: 'inherit' }).status ?? 1);
}

interface Row {
  MESSAGE?: string | number[] | (string | number[])[] | null;
  __CURSOR: string;
  __REALTIME_TIMESTAMP: string;
}

const bytesOf = (value: string | number[]): string =>
  (typeof value === 'string' ? Buffer.from(value) : Buffer.from(value)).toString('latin1');
const isBytes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'number');

/** The messages that journalctl finds, each with its number and time. */
function expected(...args: string[]): { seqnum: number; time: number; message: string }[] {
  const rows = journalctl('-o', 'json', '--all', ...args)
    .split('\n')
    .filter((line) => line !== '');
  return rows.flatMap((line) => {
    const { MESSAGE, __CURSOR, __REALTIME_TIMESTAMP } = JSON.parse(line) as Row;
    const seqnum = Number.parseInt(/;i=([0-9a-f]+);/.exec(__CURSOR)![1]!, 16);
    const time = Number(__REALTIME_TIMESTAMP) / 1e6;
    if (MESSAGE === undefined || MESSAGE === null) return [];
    const all = typeof MESSAGE === 'string' || isBytes(MESSAGE) ? [MESSAGE] : MESSAGE;
    return all.map((value) => ({ seqnum, time, message: bytesOf(value) }));
  });
}

const order = (one: { seqnum: number; message: string }, other: { seqnum: number; message: string }): number =>
  one.seqnum - other.seqnum || (one.message < other.message ? -1 : 1);

function asTaken(taken: readonly TakenEntry[]): { seqnum: number; time: number; message: string }[] {
  return taken.map(({ seqnum, time, text }) => ({ seqnum, time, message: text.slice(text.indexOf(': ') + 2) }));
}

const say = (text: string): void => {
  console.log(text);
  note(text);
};
const any = { text: '', groups: [{ terms: [] as [string, string[]][] }] };

/** Entries as journalctl exports them: plain ones, binary, long, several messages, none. */
function exported(count: number): Buffer {
  const parts: Buffer[] = [];
  const field = (name: string, value: Buffer): Buffer => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(value.length));
    return Buffer.concat([Buffer.from(`${name}\n`), length, value, Buffer.from('\n')]);
  };
  for (let n = 1; n <= count; n++) {
    const time = 1_796_000_000_000_000 + n;
    parts.push(
      Buffer.from(
        `__REALTIME_TIMESTAMP=${time}\n__MONOTONIC_TIMESTAMP=${1_000_000 + n}\n_BOOT_ID=${'ab'.repeat(16)}\n_SYSTEMD_UNIT=ssh.service\nSYSLOG_IDENTIFIER=sshd\n_PID=${n % 977}\n`,
      ),
    );
    const kind = n % 7;
    if (kind < 3) parts.push(Buffer.from(`MESSAGE=number ${n}\n`));
    else if (kind === 3) parts.push(Buffer.from(`MESSAGE=number ${n} ${'long '.repeat(300)}\n`));
    else if (kind === 4) parts.push(field('MESSAGE', Buffer.from([0, 10, 13, 255, n & 255, 61, 10])));
    else if (kind === 5) parts.push(Buffer.from(`MESSAGE=one of ${n}\nMESSAGE=two of ${n}\n`));
    else parts.push(Buffer.from(`OTHER=number ${n}\n`));
    parts.push(Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

function remote(): void {
  const folder = mkdtempSync(join(tmpdir(), 'fail2zig-journal-'));
  const count = 20_000;
  const forms: [string, JournalForm, Record<string, string>][] = [
    ['compact, keyed hash, compressed', {}, {}],
    ['regular, keyed hash, compressed', {}, { SYSTEMD_JOURNAL_COMPACT: '0' }],
    ['regular, other hash, compressed', {}, { SYSTEMD_JOURNAL_COMPACT: '0', SYSTEMD_JOURNAL_KEYED_HASH: '0' }],
    ['compact, keyed hash, not compressed', { compress: undefined as never }, {}],
  ];
  for (const [index, [what, form, variables]] of forms.entries()) {
    const path = join(folder, `${index}.journal`);
    const compress = 'compress' in form ? ['--compress=no'] : [];
    const { status, stderr } = spawnSync(programs.remote, [...compress, '-o', path, '-'], {
      input: exported(count),
      env: { ...environment, ...variables },
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    const directory = mkdtempSync(join(folder, 'one-'));
    spawnSync('mv', [path, directory]);
    const { sink, source } = driveJournal(directory, {
      findtime: 1e9,
      targets: [{ match: any, source: 0, name: 'journal:x' }],
    });
    while (sink.taken.length < count * 0.9) source.drain();
    source.drain();
    const wanted = expected('--file', join(directory, `${index}.journal`));
    assert.deepEqual(asTaken(sink.taken).sort(order), wanted.sort(order), what);
    assert.deepEqual([...source.unread], [], what);
    assert.equal(source.counters.entries, count, what);
    source.stop();
    const flags = readFileSync(join(directory, `${index}.journal`)).readUInt32LE(12);
    say(`journal-remote, ${what} (flags ${flags}): ${count} entries, ${wanted.length} messages as journalctl has them`);
  }
  rmSync(folder, { recursive: true });
}

/** Lines through journald, twenty rotations, a vacuum. */
async function rotations(): Promise<void> {
  const total = 100_000;
  const journald = await Journald.start({ settings: ['SystemMaxUse=400M'] });
  const { source, sink } = driveJournal('', { directories: [], findtime: 3_600 });
  source.start();
  const socket = await Journald.lines('sshd', 'ssh.service');
  const began = performance.now();
  const text = (n: number): string => `number ${n}${n % 11 === 0 ? ' long'.repeat(200) : ''}`;
  for (let turn = 0; turn < 20; turn++) {
    await writeLines(socket, turn * 5_000 + 1, (turn + 1) * 5_000, text);
    journalctl('--rotate');
    if (turn === 12) journalctl('--vacuum-files=4');
  }
  socket.end();
  await until(() => sink.taken.length >= total, { what: 'every entry', withinMs: 60_000 });
  const seconds = (performance.now() - began) / 1000;
  source.drain();
  const numbers = sink.taken.map(({ text: line }) => Number(/: number (\d+)/.exec(line)?.[1]));
  assert.deepEqual(
    numbers,
    Array.from({ length: total }, (_, n) => n + 1),
    'each once, in order',
  );
  const kept = expected('--directory', '/var/log/journal', '_SYSTEMD_UNIT=ssh.service');
  const known = new Map(asTaken(sink.taken).map((entry) => [entry.seqnum, entry]));
  for (const entry of kept) assert.deepEqual(known.get(entry.seqnum), entry);
  const files = readdirSync('/var/log/journal', { recursive: true }).filter((name) =>
    String(name).endsWith('.journal'),
  );
  source.stop();
  await journald.stop();
  say(
    `journald: ${total} lines, 20 rotations, a vacuum to ${files.length} files: each once, in order, within ${seconds.toFixed(1)} s; the ${kept.length} that are left are as journalctl has them`,
  );
}

/** Sealed files: keys first. */
async function sealed(): Promise<void> {
  const journald = await Journald.start({ settings: ['Seal=yes'] });
  journalctl('--setup-keys', '--interval=1s', '--force');
  journalctl('--rotate');
  const { source, sink } = driveJournal('', { directories: [], findtime: 3_600 });
  source.start();
  const socket = await Journald.lines('sshd', 'ssh.service');
  await writeLines(socket, 1, 3_000, (n) => `number ${n}`);
  socket.end();
  await until(() => sink.taken.length >= 3_000, { what: 'every entry', withinMs: 30_000 });
  const machine = readdirSync('/var/log/journal')[0]!;
  const path = `/var/log/journal/${machine}/system.journal`;
  const flags = readFileSync(path).readUInt32LE(8);
  assert.equal(flags & 1, 1, 'it is sealed');
  assert.deepEqual(
    asTaken(sink.taken).map(({ message }) => message),
    Array.from({ length: 3_000 }, (_, n) => `number ${n + 1}`),
  );
  source.stop();
  await journald.stop();
  say('journald, sealed: 3000 lines, each once, in order');
}

const began = performance.now();
remote();
await rotations();
await sealed();
say(await latency());
say(await killed(200));
const fuzzed = spawnSync(
  process.execPath,
  [join(import.meta.dirname, '../fuzz/main.ts'), 'journal', '--runs', '10000'],
  {
    encoding: 'utf8',
  },
);
assert.equal(fuzzed.status, 0, fuzzed.stdout);
say(fuzzed.stdout.trim());
say(`all of it in ${((performance.now() - began) / 1000).toFixed(0)} s`);
