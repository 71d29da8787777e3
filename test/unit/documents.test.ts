/** Manual pages and the reference of the configuration: complete, up to date, in order. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { documents } from '../../scripts/documents.ts';
import { commandNames } from '../../src/client/help.ts';
import { commands } from '../../src/commands/table.ts';
import { reference } from '../../src/config/reference.ts';
import { defaultSettings, knownKeys } from '../../src/config/schema.ts';
import { tool } from '../support/tools.ts';

const made = documents();
const pages = [...made.keys()].filter((path) => path.startsWith('man/'));
const mandoc = tool('mandoc');

test.each([...made.keys()])('%s is what its tables say', (path) => {
  expect(readFileSync(path, 'utf8')).toBe(made.get(path));
});

test('made once more they are the same', () => {
  expect([...documents()]).toEqual([...made]);
});

describe.skipIf(mandoc === undefined)('mandoc', () => {
  const lint = (text: string): string[] => {
    const done = spawnSync(mandoc!, ['-Tlint'], { input: text, encoding: 'utf8' });
    expect(done.error).toBeUndefined();
    // It does not matter for this page whether our other pages are installed here.
    return done.stdout.split('\n').filter((line) => line !== '' && !line.includes('referenced manual not found'));
  };

  test.each(pages)('finds nothing in %s', (path) => {
    expect(lint(made.get(path)!)).toEqual([]);
    expect(lint(`${made.get(path)}.Ef\n`).join('\n')).toContain('Ef');
  });
});

test('the pages name every command', () => {
  for (const name of commandNames)
    expect(made.get('man/fail2zig-client.1')).toMatch(new RegExp(`^\\.It Ic "${name}`, 'm'));
  for (const name of Object.keys(commands)) expect(made.get('man/fail2zig.8')).toContain(`.Ss fail2zig ${name}\n`);
});

describe('the reference', () => {
  const rowsOf = (header: string) => reference.find((table) => table.header === header)!.keys;

  test('has a table for each of the schema', () => {
    const names = reference.map(({ path }) => String(path[0]));
    expect([...new Set(names)].toSorted()).toEqual(knownKeys([]).toSorted());
  });

  test.each(reference.map(({ header, path }) => [header, path] as const))('has each key of %s', (header, path) => {
    const keys = rowsOf(header).map(({ key }) => key);
    const inherited = header === '[jails.NAME]' ? rowsOf('[defaults]').map(({ key }) => key) : [];
    expect([...inherited, ...keys].toSorted()).toEqual(knownKeys(path).toSorted());
  });

  test('states the same defaults as the schema', () => {
    const said = (header: string, key: string) => rowsOf(header).find((each) => each.key === key)?.otherwise;
    const text = (value: unknown): string => JSON.stringify(value);
    expect(said('[memory]', 'eviction_policy')).toBe(text(defaultSettings.evictionPolicy));
    expect(said('[control]', 'socket')).toBe(text(defaultSettings.socket));
    expect(said('[control]', 'group')).toBe(text(defaultSettings.group));
    expect(said('[metrics]', 'bind')).toBe(text(defaultSettings.bind));
    expect(said('[metrics]', 'port')).toBe(text(defaultSettings.metricsPort));
    expect(said('[state]', 'path')).toBe(text(defaultSettings.statePath));
    expect(said('[defaults]', 'maxretry')).toBe(text(defaultSettings.maxretry));
    expect(said('[defaults]', 'ipv6_prefix')).toBe(text(defaultSettings.ipv6Prefix));
    expect(said('[confinement]', 'seccomp')).toBe(text(defaultSettings.seccomp));
  });
});
