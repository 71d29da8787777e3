/**
 * Documents and code agree: configurations that a document shows are accepted as they stand, and
 * its commands, options, keys, defaults, exit codes and links exist.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  commands as clientCommands,
  commandNames,
  exitCodes,
  globalOptions,
  readmeRows,
} from '../../src/client/help.ts';
import { commands } from '../../src/commands/table.ts';
import { compileConfig } from '../../src/config/compile.ts';
import { reference } from '../../src/config/reference.ts';
import { filters } from '../../src/filters/index.ts';

const documents = [
  ...['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'THREAT_MODEL.md', 'CHANGELOG.md'],
  ...globSync('docs/*.md').sort(),
];
const text = new Map(documents.map((path) => [path, readFileSync(path, 'utf8')]));
const readme = text.get('README.md')!;
const guide = text.get('docs/operating.md')!;
const whole = [...text.values()].join('\n');

/** Text of each code block in `language`. */
function blocks(document: string, language: string): string[] {
  const found = document.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'));
  return [...found].map(([, block]) => block ?? '');
}

/** Compiles a block as a configuration. Throws if it is refused. */
function compile(block: string) {
  const known = filters.map(({ name, modes }) => ({ name, modes: modes ?? [] }));
  return compileConfig(block, 'a document', { filters: known, groupId: () => 0 });
}

describe('configurations', () => {
  test("README's first jail is accepted without a warning", () => {
    const [block = ''] = blocks(readme, 'toml');
    const { config, warnings } = compile(block);
    expect(warnings).toEqual([]);
    expect(config.jails[0]).toMatchObject({ name: 'sshd', filter: 'sshd', maxretry: 5, findtime: 600, bantime: 3600 });
  });

  test.each(documents.flatMap((path) => blocks(text.get(path)!, 'toml').map((block) => [path, block] as const)))(
    'of %s: %s',
    (_, block) => {
      expect(() => compile(block)).not.toThrow();
    },
  );

  test('what README calls the default is the default', () => {
    let section = '';
    const said = (blocks(readme, 'toml')[0] ?? '').split('\n').flatMap((line) => {
      section = /^\[.+\]/.exec(line)?.[0] ?? section;
      const [, key, value, note] = /^(\w+) = (\S+) *# (.*)$/.exec(line) ?? [];
      return key !== undefined && /the default$/.test(note!) ? [[section, key, value] as const] : [];
    });
    expect(said.length).toBeGreaterThan(3);
    for (const [header, key, value] of said) {
      const row = reference.find((table) => table.header === header)?.keys.find((each) => each.key === key);
      // For `backend`, the reference describes the default in words.
      if (key === 'backend') expect(row?.says).toContain('"auto" is the first');
      else expect([header, key, row?.otherwise]).toEqual([header, key, value]);
    }
  });
});

describe('commands', () => {
  test("the guide's client commands are those of the client", () => {
    const [, rows = ''] = guide.match(/<!-- verbs:begin -->\n([\s\S]*?)<!-- verbs:end -->/) ?? [];
    expect(rows).toBe(readmeRows());
  });

  test('every command that a document shows exists', () => {
    // The threat model marks what is planned.
    const said = whole.replaceAll(/^.*\*Planned\*.*$/gm, '');
    const shown = [...said.matchAll(/(?:`|bin\/)(fail2zig|fail2zig-client) ([a-z][a-z-]*)/g)];
    const known = {
      fail2zig: [...Object.keys(commands), 'help', 'version'],
      'fail2zig-client': commandNames,
    };
    expect(shown.length).toBeGreaterThan(20);
    const unknown = shown.filter(([, program, name = '']) => !known[program as keyof typeof known].includes(name));
    expect(unknown.map(([command]) => command)).toEqual([]);
  });

  test('every option of the client that a document shows exists', () => {
    const options = new Set(clientCommands.flatMap((command) => command.options.map(({ name }) => name)));
    for (const { name } of globalOptions) options.add(name);
    const shown = [...whole.matchAll(/`fail2zig-client [^`]*`/g)].flatMap(([code]) =>
      [...code.matchAll(/--([a-z-]+)/g)].map(([, name = '']) => name),
    );
    expect(shown.length).toBeGreaterThan(3);
    expect(shown.filter((name) => !options.has(name))).toEqual([]);
  });

  test('every npm command that a document shows is a script of package.json', () => {
    const scripts = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).scripts ?? {});
    const shown = [...whole.matchAll(/\bnpm run ([a-z:-]+)/g)].map(([, name = '']) => name);
    expect(shown.length).toBeGreaterThan(20);
    expect(shown.filter((name) => !scripts.includes(name))).toEqual([]);
  });
});

test('exit codes are those of client and daemon', () => {
  const [, sentence = ''] = /ends with ([^.]*)\./.exec(guide.replaceAll('\n', ' ')) ?? [];
  const said = [...sentence.matchAll(/(\d) ([a-z]+)/g)].map(([, code]) => Number(code));
  expect(said).toEqual(Object.values(exitCodes));
  const daemon = ['src/daemon.ts', 'src/uncaught.ts'].map((path) => readFileSync(path, 'utf8')).join('');
  const codes = [...daemon.matchAll(/const exit\w+ = (\d+);/g)].map(([, code]) => code);
  expect(codes.length).toBe(3);
  expect(codes.filter((code) => !new RegExp(`\\b${code}[,:]`).test(guide))).toEqual([]);
});

test('keys that a document names with their table exist', () => {
  const tables = new Map(
    reference.map(({ header, keys }) => [header.replaceAll(/[[\]]/g, ''), keys.map(({ key }) => key)] as const),
  );
  // A name such as `memory.file_bytes` is a figure of `stats`, so only tables without figures are
  // checked.
  const shown = [...whole.matchAll(/`(firewall|state|control|metrics|log|defaults)\.([a-z_]+)`/g)];
  expect(shown.length).toBeGreaterThan(2);
  expect(shown.filter(([, table = '', key = '']) => !tables.get(table)?.includes(key)).map(([name]) => name)).toEqual(
    [],
  );
});

/** The anchor that a heading of Markdown gets. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');

test.each(documents)('links of %s lead to files and headings', (document) => {
  const links = [...text.get(document)!.matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)].map(
    ([, target = '']) => target,
  );
  const faults = links.filter((target) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? document : normalize(join(dirname(document), path));
    if (!existsSync(file)) return true;
    if (anchor === undefined || !file.endsWith('.md')) return false;
    const page = readFileSync(file, 'utf8');
    const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));
    return !headings.includes(anchor) && !page.includes(`<a id="${anchor}"></a>`);
  });
  expect(faults).toEqual([]);
});
