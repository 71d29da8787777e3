/**
 * The engine's shortcuts (what it remembers of lines, and its first look) only change what a line
 * costs: an engine with them and one without leave the same memory, whatever they read. The same
 * comparison finds every fault that is planted in a shortcut, within the same lines.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const linesMax = 30_000;
/**
 * All planted faults are found long before this many lines. A fault that is missed costs the most
 * time.
 */
const linesOfFaultsMax = 600_000;
const seed = process.env.SHORT_WAYS_SEED ?? String(1 + Math.floor(Math.random() * 1e9));

/** A change of one file of the engine, in which `from` occurs once. */
interface Change {
  file: string;
  from: string;
  to: string;
}

const withoutShortWays: Change[] = [
  {
    file: 'scalar/bytewise.ts',
    from: '  for (let i = 0; i < blocks << 4; i++) {\n    if (((',
    to: '  for (let i = 0; i < 1; i++) return false;\n  for (let i = 0; i < blocks << 4; i++) {\n    if (((',
  },
  { file: 'engine.ts', from: 'if (looksAtHand && !may(filter, start, end)) return NO_PATTERN;', to: '' },
  { file: 'scan.ts', from: '  if (dotsIn(at, stop - at) >= 0) {', to: '  if (at > 0) return false;\n  if (at > 0) {' },
];

const faults: Record<string, Change> = {
  'a minute of a hundred seconds': { file: 'linear.ts', from: 'second > 59 ? -1', to: 'second > 99 ? -1' },
  'an hour of another day': { file: 'linear.ts', from: 'hour > 23 ||', to: 'hour > 99 ||' },
  'months of 31 days': {
    file: 'timestamp.ts',
    from: 'monthDays(year < 0 ? yearNear(formInstant + past) : year, month) * DAY',
    to: '31 * DAY',
  },
  'times to come': { file: 'timestamp.ts', from: 'if (to > now + 1) to', to: 'if (to > now + 9e9) to' },
  'times of last year': { file: 'timestamp.ts', from: 'if (year < 0 && from < now', to: 'if (year < -1 && from < now' },
  'clocks that are put back': { file: 'timestamp.ts', from: 'if (to > limit) to', to: 'if (to > limit + 9e9) to' },
  'clocks that were put on': { file: 'timestamp.ts', from: 'if (piece > 0 && from', to: 'if (piece > 99 && from' },
  'a clock of twelve hours': { file: 'timestamp.ts', from: 'folded || halved ||', to: 'folded ||' },
  'a blank in any day': { file: 'timestamp.ts', from: 'dayPadded ? 32 : 48, dayPadded ? 25 : 9', to: '32, 25' },
  'any byte in a day': { file: 'timestamp.ts', from: 'if (tens > 32 && tens < 48) return -1;', to: '' },
  'a first look at too little': {
    file: 'generated/nginx-botsearch.ts',
    from: 'holdsWord(start, end,',
    to: 'holdsWord(start, end - 60,',
  },
  'the host of the line before': { file: 'header.ts', from: '(placeBytes + 15) >> 4', to: 'placeBytes >> 4' },
  'a line that stands for several': { file: 'header.ts', from: ' && first !== 0x7373656d', to: '' },
  'what stands before a message': { file: 'header.ts', from: 'first !== 0x2044495b && ', to: '' },
  'a time that is another one now': {
    file: 'engine.ts',
    from: 'if (time < 0) return -1;\n  const eol',
    to: 'const eol',
  },
  colours: { file: 'engine.ts', from: ' || !line.isPlain(start, end)', to: '' },
  'an address with a dot behind it': {
    file: 'scan.ts',
    from: 'return stop > at && byte(stop - 1) !== ascii.DOT;',
    to: 'return stop > at;',
  },
  'half an address': { file: 'scan.ts', from: 'scanAddress(at, end) === stop;', to: 'scanAddress(at, end) > 0;' },
  'no number': {
    file: 'generated/sshd.ts',
    from: 'if (number >= end - 5 || number < end - 10) return -1;',
    to: 'if (number < end - 10) return -1;',
  },
  'an end of any kind': {
    file: 'generated/sshd.ts',
    from: "if (!(word(end - 5) === 0x68737320 && word(end - 5 + 1) === 0x32687373)) return -1; // ' ssh2'\n  const number",
    to: 'const number',
  },
  'an address behind any word': {
    file: 'generated/sshd.ts',
    from: 'number < end - 10) return -1;\n  const stop = number - 6;\n  if (!(word(stop) === 0x726f7020 &&',
    to: 'number < end - 10) return -1;\n  const stop = number - 6;\n  if (!(word(stop) !== 0 &&',
  },
  'an identifier of anybody': {
    file: 'engine.ts',
    from: 'if (!readsTag(filter, header.tagStart, header.tagEnd)) {',
    to: 'if (header.tagStart < 0) {',
  },
  'the pid of the line before': {
    file: 'engine.ts',
    from: 'if (connectionAtHand === joint.BY_PID) prepare();\n  capture',
    to: 'capture',
  },
  'a foreign line that is not counted': {
    file: 'engine.ts',
    from: 'counters.countFilter(filter, counters.FILTER_NO_PREFIX, 1);\n    return eol',
    to: 'return eol',
  },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fail2zig-short-ways-'));
});
afterAll(() => rmSync(folder, { recursive: true }), 120_000);

/** An engine with these changes; returns its folder. */
function engineWith(name: string, changes: readonly Change[]): string {
  const place = join(folder, name.replaceAll(' ', '-'));
  rmSync(place, { recursive: true, force: true });
  cpSync(join(root, 'src', 'engine'), join(place, 'src', 'engine'), { recursive: true });
  for (const other of readdirSync(join(root, 'src'))) {
    if (other !== 'engine') symlinkSync(join(root, 'src', other), join(place, 'src', other));
  }
  writeFileSync(join(place, 'package.json'), '{"type":"module","imports":{"#linear":"./src/engine/linear.ts"}}');
  for (const { file, from, to } of changes) {
    const path = join(place, 'src', 'engine', file);
    const text = readFileSync(path, 'utf8');
    expect(text.split(from), `"${from}" in ${file}`).toHaveLength(2);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
  }
  return place;
}

function compare(zone: string, lines: number, engines: string[]): number[] {
  const program = join(root, 'test', 'support', 'short-ways.ts');
  const { stdout, stderr } = spawnSync(process.execPath, [program, seed, String(lines), ...engines], {
    encoding: 'utf8',
    env: { ...process.env, TZ: zone, NODE_V8_COVERAGE: undefined },
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

describe('short ways', () => {
  test.each(['Europe/Berlin', 'Australia/Lord_Howe', 'UTC'])(
    'decide nothing otherwise (%s)',
    (zone) => {
      const engines = [engineWith('reference', withoutShortWays), engineWith('as it is', [])];
      expect(compare(zone, linesMax, engines), `seed ${seed}`).toEqual([-1]);
    },
    300_000,
  );

  test('the comparison finds what is planted', () => {
    const planted = Object.entries(faults).map(([name, change]) => engineWith(name, [change]));
    const found = compare('Europe/Berlin', linesOfFaultsMax, [engineWith('reference', withoutShortWays), ...planted]);
    const missed = Object.keys(faults).filter((_, index) => found[index]! < 0);
    expect(missed, `seed ${seed}`).toEqual([]);
  }, 300_000);
});
