/** docs/first-week.md: every row has an answer, and the commands in it exist. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commandNames } from '../../src/client/help.ts';
import { commands } from '../../src/commands/table.ts';

const rows = readFileSync('docs/first-week.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| what for'))
  .map((line) => line.split(' | ').map((cell) => cell.replaceAll(/^\| | \|$/g, '')));

test('every row has an answer, or says why there is none', () => {
  expect(rows.length).toBeGreaterThan(25);
  for (const row of rows) {
    expect(row).toHaveLength(5);
    expect(row[4]).not.toMatch(/^(–|)$/);
  }
});

test('the commands that it names exist', () => {
  const answers = rows.map((row) => row[4]).join('\n');
  const client = [...answers.matchAll(/`fail2zig-client ([a-z]+)/g)].map(([, name = '']) => name);
  const daemon = [...answers.matchAll(/`fail2zig ([a-z]+)/g)].map(([, name = '']) => name);
  expect(client.length).toBeGreaterThan(10);
  expect(client.filter((name) => !commandNames.includes(name))).toEqual([]);
  expect(daemon.filter((name) => !Object.hasOwn(commands, name))).toEqual([]);
});
