/**
 * Long runs and their records. A record has one form, and the command that ran writes it, whether
 * it ended well or not. Other tests try the programs themselves.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { buildHash, type LongRecord, nameOf, recordText } from '../../scripts/long/record.ts';
import { longRuns } from '../../scripts/long/runs.ts';
import { claims } from '../../spec/claims.ts';

const scratch = mkdtempSync(join(tmpdir(), 'fail2zig-long-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** Runs a program as npm would. It notes something and ends with `status`. */
function run(status: number, ...parameters: string[]) {
  const program = join(scratch, 'program.ts');
  const record = join(import.meta.dirname, '../../scripts/long/record.ts');
  writeFileSync(
    program,
    `import { note } from '${record}';
note({ inputs: 1, seed: '7' });
note('a row in words');
note({ inputs: 20 });
console.log(process.argv.slice(2).join(' '));
process.exit(${status});\n`,
  );
  const evidence = mkdtempSync(join(scratch, 'evidence-'));
  const { FAIL2ZIG_FIGURES: _, ...env } = process.env;
  const ended = spawnSync(process.execPath, ['scripts/long/recorded.ts', 'fuzz', program, ...parameters], {
    encoding: 'utf8',
    env: { ...env, FAIL2ZIG_EVIDENCE: evidence },
  });
  return { ...ended, evidence };
}

describe('--record', () => {
  test('keeps what ran, what it found and how it ended', () => {
    const { status, stdout, evidence } = run(3, 'all', '--hours', '1', '--record');
    expect(status).toBe(3);
    expect(stdout).toContain('all --hours 1\n');
    const record = JSON.parse(readFileSync(join(evidence, 'fuzz.json'), 'utf8')) as LongRecord;
    expect(record).toMatchObject({
      name: 'fuzz',
      command: 'npm run fuzz -- all --hours 1',
      ok: false,
      build: buildHash(),
      figures: { inputs: 20, seed: '7' },
      found: ['a row in words'],
    });
    expect(record.machine.commit ?? record.machine.version).toBeTruthy();
    expect(Date.parse(record.date)).toBeGreaterThan(0);
  });

  test.each([129, 130, 143])('a run that a signal ends (%i) is not recorded', (by) => {
    const { status, stderr, evidence } = run(by, '--record');
    expect(status).toBe(by);
    expect(stderr).toContain('interrupted: nothing is recorded');
    expect(readdirSync(evidence)).toEqual([]);
  });

  test('what package.json hands to a test runner is no part of the command', () => {
    const { evidence } = run(0, 'run', '--config', 'x', '--', '--record');
    expect(readFileSync(join(evidence, 'fuzz.json'), 'utf8')).toContain('"command": "npm run fuzz",');
  });

  test('without it nothing is kept', () => {
    const { status, evidence } = run(0, 'all');
    expect(status).toBe(0);
    expect(readdirSync(evidence)).toEqual([]);
  });
});

test.each([
  ['fuzz', 'all --hours 8', 'fuzz'],
  ['fuzz', '--lines 5 replay', 'replay'],
  ['soak', '--sources 1_000_000', 'soak-1000000'],
  ['soak', '', 'soak-200000'],
  ['soak', 'killed --times 3', 'killed'],
  ['test:fleet', 'sqlite', 'fleet'],
  ['mutation', 'control --force', 'mutation-control'],
  ['mutation', '', 'mutation-engine'],
])('npm run %s -- %s is recorded as %s', (script, parameters, name) => {
  expect(nameOf(script, parameters.split(' '))).toBe(name);
});

test('each long run is a command that can record itself, and supports claims that there are', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const known = new Set(claims.map(({ id }) => id));
  for (const { name, script, parameters, claims: supported } of longRuns) {
    expect(scripts[script]).toContain(`scripts/long/recorded.ts ${script} `);
    expect(nameOf(script, parameters)).toBe(name);
    expect(supported.filter((id) => !known.has(id))).toEqual([]);
  }
});

test.each(globSync('test/evidence/*.json'))('%s is the record of a long run, with date, command and result', (path) => {
  const record = JSON.parse(readFileSync(path, 'utf8')) as LongRecord;
  expect(path).toBe(`test/evidence/${record.name}.json`);
  expect(longRuns.map(({ name }) => name)).toContain(record.name);
  expect(record.command).toMatch(/^npm run /);
  expect(Number.isFinite(Date.parse(record.date))).toBe(true);
  expect(Object.keys(record.figures).length).toBeGreaterThan(0);
  expect(typeof record.ok).toBe('boolean');
});

test('a record says in one line how it ended, and that its build is older', () => {
  const record: LongRecord = {
    name: 'fuzz',
    command: 'npm run fuzz -- all',
    date: '2026-01-02T03:04:05.000Z',
    seconds: 61.4,
    ok: false,
    build: 'a',
    machine: {},
    figures: { inputs: 12_345, seed: '12345' },
  };
  const said = '2026-01-02, 61 s, FAILED: inputs 12,345, seed 12345';
  expect(recordText(record, 'a')).toBe(said);
  expect(recordText({ ...record, ok: true }, 'b')).toBe(`${said.replace('FAILED', 'ok')} (of an older build)`);
});
