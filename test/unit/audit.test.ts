/**
 * The audit log and its verification: changes by somebody are found, what a crash left is not
 * reported.
 */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sealOf, sealPath } from '../../src/history/chain.ts';
import { Recorder, type RecorderOptions } from '../../src/history/recorder.ts';
import { auditFilesMax, auditSealRecords } from '../../src/limits.ts';
import { verifyLog } from '../support/audit.ts';
import { rememberingLog, temporaryDirectory } from '../support/control.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
let now: number;
let recorders: Recorder[];

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, 'state.history');
  now = Date.now();
  recorders = [];
});

afterEach(async () => {
  for (const recorder of recorders) await recorder.close();
  directory.remove();
});

async function started(options: Partial<RecorderOptions> = {}) {
  const log = rememberingLog();
  const recorder = new Recorder({ path, log, now: () => now, ...options });
  recorders.push(recorder);
  await recorder.start();
  return { recorder, log };
}

async function put(recorder: Recorder, count: number): Promise<void> {
  for (let index = 0; index < count; index++) recorder.command(`number ${index}`, { uid: 0, pid: 7 });
  await recorder.flush();
}

/** A finished log with this many records. */
async function finished(count: number, options: Partial<RecorderOptions> = {}): Promise<void> {
  const { recorder } = await started(options);
  await put(recorder, count);
  await recorder.close();
}

const lines = (file = path): string[] => readFileSync(file, 'latin1').split('\n');
const write = (changed: readonly string[], file = path): void => writeFileSync(file, changed.join('\n'), 'latin1');
const problems = async (): Promise<string[]> =>
  (await verifyLog(path)).findings.map(({ line, problem }) => `${line}: ${problem}`);

describe('a log that nobody touched is whole', () => {
  test('while it is written, at the end, and over restarts', async () => {
    const { recorder } = await started();
    expect(await verifyLog(path)).toMatchObject({ findings: [], records: 0 });
    await put(recorder, 5);
    expect(await verifyLog(path)).toMatchObject({ findings: [], records: 5, unsealed: 5 });
    await recorder.close();
    expect(await verifyLog(path)).toMatchObject({ findings: [], records: 5, unsealed: 0 });
    await finished(3);
    expect(await verifyLog(path)).toMatchObject({ findings: [], first: 1, last: 8, unsealed: 0, notes: [] });
  });

  test('over the change of files; the seal says where it begins when the oldest goes', async () => {
    const { recorder } = await started({ bytes: 40_960 });
    for (let round = 0; round < 100; round++) await put(recorder, 10);
    await recorder.close();
    const found = await verifyLog(path);
    expect(found).toMatchObject({ findings: [], last: 1_000, unsealed: 0 });
    expect(found.first).toBeGreaterThan(500);
    const files = readdirSync(directory.path).filter((name) => name !== 'state.history.seal');
    expect(files).toHaveLength(auditFilesMax);
    expect(files.reduce((sum, name) => sum + statSync(join(directory.path, name)).size, 0)).toBeLessThan(55_000);
    expect(sealOf(readFileSync(sealPath(path), 'latin1'))?.from).toBe(found.first);
  });

  test('it is sealed within so many records', async () => {
    const { recorder } = await started();
    await put(recorder, 2 * auditSealRecords + 10);
    expect((await verifyLog(path)).unsealed).toBeLessThan(auditSealRecords);
  });

  test('records are not kept longer than they may be, also over a stop', async () => {
    const keepSeconds = 100_000;
    const { recorder } = await started({ keepSeconds });
    const begun = now / 1000;
    const oldest = (): number => JSON.parse(lines(files().at(-1)!)[1] || '{}').at ?? now / 1000;
    const files = (): string[] =>
      [...Array(auditFilesMax + 1).keys()]
        .map((age) => (age === 0 ? path : `${path}.${age}`))
        .filter((file) => existsSync(file));
    for (let step = 0; step < 40; step++) {
      await put(recorder, 1);
      utimesSync(path, now / 1000, now / 1000);
      now += 5_000_000;
      await recorder.flush();
      expect(now / 1000 - oldest()).toBeLessThanOrEqual(keepSeconds);
    }
    expect(now / 1000 - oldest()).toBeGreaterThan(0.7 * keepSeconds);
    expect(now / 1000 - begun).toBeGreaterThan(1.5 * keepSeconds);
    await recorder.close();
    expect(await verifyLog(path)).toMatchObject({ findings: [], last: 40 });
    now += 2 * 1000 * keepSeconds;
    await finished(0, { keepSeconds });
    expect(files()).toEqual([path]);
    expect(await verifyLog(path)).toMatchObject({ findings: [], records: 0, last: 40 });
  });
});

describe('what a crash left is closed', () => {
  test.each(['{"number":6,"at":1', '{', '{"number":6}', 'x\ny'])('a line that begins with %j', async (torn) => {
    await finished(5);
    appendFileSync(path, torn);
    const before = await verifyLog(path);
    if (torn !== '{"number":6}') expect(before).toMatchObject({ findings: [], notes: [{ line: 7 }] });
    const { recorder, log } = await started();
    await put(recorder, 1);
    await recorder.close();
    expect(log.said[0]).toMatchObject({
      text: 'the audit log was cut off and goes on',
      fields: { bytes: torn.length },
    });
    const found = await verifyLog(path);
    // Text that is a complete record cannot be the rest of a broken write.
    expect(found.findings.map(({ line }) => line)).toEqual(torn === '{"number":6}' ? [7] : []);
    expect(found).toMatchObject({ records: 7, last: 7, unsealed: 0 });
  });

  test('a record without its line feed is a record', async () => {
    const { recorder } = await started();
    await put(recorder, 5);
    copyFileSync(path, `${path}.copy`);
    copyFileSync(sealPath(path), `${path}.copy.seal`);
    await recorder.close();
    path = `${path}.copy`;
    truncateSync(path, statSync(path).size - 1);
    await finished(1);
    expect(await verifyLog(path)).toMatchObject({ findings: [], notes: [], records: 6, last: 6 });
  });

  test.each(['', '{"fail2', '{"fail2zig":"audit","version":2,"at":17'])(
    'a file that was only begun: %j',
    async (begun) => {
      await finished(5);
      renameSync(path, `${path}.1`);
      writeFileSync(path, begun);
      await finished(1);
      expect(await verifyLog(path)).toMatchObject({ findings: [], records: 6, unsealed: 0 });
    },
  );
});

test('a write that was cut off anywhere behind the seal is no change', async () => {
  const { recorder } = await started();
  await put(recorder, 3);
  await recorder.close();
  const seal = readFileSync(sealPath(path));
  const sealed = statSync(path).size;
  await finished(2);
  const whole = readFileSync(path);
  for (let size = sealed; size <= whole.length; size += 7) {
    writeFileSync(path, whole.subarray(0, size));
    writeFileSync(sealPath(path), seal);
    expect((await verifyLog(path)).findings, `cut at ${size}`).toEqual([]);
    await finished(1);
    expect(await verifyLog(path), `gone on at ${size}`).toMatchObject({ findings: [], unsealed: 0 });
  }
});

describe('what was changed shows, and where', () => {
  beforeEach(() => finished(10));

  test('a record', async () => {
    write(lines().map((line) => line.replace('number 3', 'number 7')));
    expect(await problems()).toEqual(['5: record 4 or what is before it was changed']);
  });

  test('a record that is left out, or some', async () => {
    const whole = lines();
    write(whole.toSpliced(4, 1));
    expect(await problems()).toEqual(['5: record 4 is missing before it']);
    write(whole.toSpliced(4, 3));
    expect(await problems()).toEqual(['5: records 4 to 6 are missing before it']);
  });

  test('records in another order', async () => {
    const [first, ...rest] = lines();
    write([first!, ...rest.slice(0, 3), rest[4]!, rest[3]!, ...rest.slice(5)]);
    expect(await problems()).toEqual([
      '5: record 4 is missing before it',
      '6: record 4 is out of order, behind 5',
      '7: record 5 is missing before it',
    ]);
  });

  test('records that are cut off', async () => {
    write([...lines().slice(0, 9), '']);
    expect(await problems()).toEqual(['0: records 9 to 10 are missing at the end: the seal names 10']);
    // The next start reports it too, and uses no number twice.
    const { recorder } = await started();
    expect(recorder.problem).toMatch(/lacks records that it had/);
    await recorder.close();
    expect(await problems()).toEqual([
      '10: records 9 to 10 are missing before it',
      '10: at a start the log had records up to 8 only, and not what its seal named (record 11)',
    ]);
  });

  test('a log that is gone, and its seal that is', async () => {
    renameSync(path, `${path}.moved`);
    const { recorder } = await started();
    expect(recorder.problem).toMatch(/lacks records that it had/);
    await recorder.close();
    expect(await problems()).toEqual([
      '2: at a start the log had records up to 0 only, and not what its seal named (record 11)',
    ]);
    renameSync(`${path}.moved`, path);
    rmSync(sealPath(path));
    expect(await problems()).toEqual(['0: its seal is missing: what was cut off does not show']);
    expect((await started()).recorder.problem).toMatch(/lacks records that it had/);
  });

  test('files that are gone, the oldest and one in the middle', async () => {
    const { recorder } = await started({ bytes: 20_000 });
    for (let round = 0; round < 30; round++) await put(recorder, 1);
    await recorder.close();
    renameSync(`${path}.2`, `${path}.moved`);
    expect((await problems()).join()).toMatch(/^1: records? .* missing before it$/);
    renameSync(`${path}.moved`, `${path}.2`);
    const oldest = `${path}.${[...Array(auditFilesMax).keys()].findLast((age) => existsSync(`${path}.${age}`))}`;
    rmSync(oldest);
    expect((await problems()).join()).toMatch(/^0: records? .* missing at the beginning$/);
    expect((await started({ bytes: 20_000 })).recorder.problem).toMatch(/lacks records that it had/);
  });

  test('text that is no record, and a record of nobody', async () => {
    const whole = lines();
    write(whole.toSpliced(3, 0, 'not one of ours'));
    expect(await problems()).toEqual(['4: text that is no record of the daemon']);
    write(whole.toSpliced(-1, 0, '{"number":11,"at":1,"event":"ban","jail":"sshd","addresses":["192.0.2.1"]}'));
    expect(await problems()).toEqual(['12: text that is no record of the daemon']);
  });

  test('another chain in its place shows to who kept a part of this one', async () => {
    const kept = join(directory.path, 'kept');
    writeFileSync(kept, lines().slice(0, 6).join('\n'));
    expect((await verifyLog(path, kept)).findings).toEqual([]);
    rmSync(path);
    rmSync(sealPath(path));
    now += 1;
    await finished(10);
    expect((await verifyLog(path)).findings).toEqual([]);
    const found = (await verifyLog(path, kept)).findings;
    expect(found.map(({ problem }) => problem)).toContain(`record 5 is not the one that ${kept} names`);
  });
});

test('a disk that takes a few bytes at a time gets all of them; nobody else may read', async () => {
  const other = await open(join(directory.path, 'other'), 'w');
  const handles = Object.getPrototypeOf(other) as FileHandle;
  await other.close();
  const { write: whole } = handles;
  const some = vi.spyOn(handles, 'write').mockImplementation(function (this: FileHandle, bytes: unknown, ...rest) {
    const part = Buffer.isBuffer(bytes) ? bytes.subarray(0, 50) : bytes;
    return (whole as (...parameters: unknown[]) => ReturnType<FileHandle['write']>).call(this, part, ...rest);
  });
  try {
    await finished(3);
  } finally {
    some.mockRestore();
  }
  expect(await verifyLog(path)).toMatchObject({ findings: [], records: 3, notes: [] });
  expect([path, sealPath(path)].map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600]);
});

test('records of an earlier version are kept beside the chain', async () => {
  const old = [
    '{"fail2zig":"history","version":1}',
    '{"number":41,"at":1763687728.5,"event":"ban","jail":"sshd","addresses":["192.0.2.1"],"until":1763687800}',
    '',
  ];
  write(old);
  const { recorder, log } = await started();
  expect(log.said).toMatchObject([{ level: 'warn', fields: { path: `${path}.1` } }]);
  await put(recorder, 2);
  await recorder.close();
  expect(lines(`${path}.1`)).toEqual(old);
  const found = await verifyLog(path);
  expect(found).toMatchObject({ findings: [], first: 42, last: 43, unsealed: 0 });
  expect(found.notes[0]).toMatchObject({ file: `${path}.1`, line: 1 });
});
