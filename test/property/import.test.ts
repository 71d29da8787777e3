/**
 * Import of a fail2ban tree. A translated expression never counts a line that the expression does
 * not match, unless the report said "wider". Whatever a tree contains, the import ends and writes
 * only its output, and that output is usable.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileConfig } from '../../src/config/compile.ts';
import { compileFilters } from '../../src/config/filter.ts';
import { knownFilters } from '../../src/config/known-filters.ts';
import { tryLines } from '../../src/config/load.ts';
import { customise, tableOf } from '../../src/import/custom-filter.ts';
import { importTree } from '../../src/import/import.ts';
import { Refused } from '../../src/import/regex.ts';
import { formatAddress } from '../../src/text/address.ts';

// --- Expressions ---------------------------------------------------------------------------------

const addresses = ['192.0.2.7', '198.51.100.9', '203.0.113.250'];
const hostPattern = '(?:\\d{1,3}(?:\\.\\d{1,3}){3})';

/** A piece of an expression, and texts of which it matches some. */
interface Piece {
  text: string;
  lines: string[];
}

const pieces: Piece[] = [
  { text: 'login failed', lines: ['login failed', 'login'] },
  { text: ' for ', lines: [' for ', ' '] },
  { text: ' from ', lines: [' from ', ' from'] },
  { text: ': ', lines: [': ', ':'] },
  { text: '"', lines: ['"', "'"] },
  { text: '\\[error\\] ', lines: ['[error] ', '[warn] '] },
  { text: '\\d+', lines: ['7', '12345', 'x'] },
  { text: '\\d{3}', lines: ['401', '40', '4011'] },
  { text: '4\\d\\d ', lines: ['404 ', '4041 '] },
  { text: '\\S+ ', lines: ['word ', 'wo:rd ', ' '] },
  { text: '\\S*foo', lines: ['foo', 'barfoo', 'bar foo'] },
  { text: '[^"]*"', lines: ['quoted"', 'a "b"', '"'] },
  { text: '"[^"]*xmlrpc[^"]*" ', lines: ['"a xmlrpc b" ', '"a" xmlrpc" '] },
  { text: '\\[[^\\]]+\\]', lines: ['[x y]', '[a]]'] },
  { text: '.*', lines: ['anything', '', 'from 192.0.2.1'] },
  { text: '.+? at ', lines: ['x at ', ' at '] },
  { text: '(?:a|bc)', lines: ['a', 'bc', 'c'] },
  { text: '(?:invalid user )?', lines: ['invalid user ', ''] },
  { text: '\\s*', lines: ['', ' ', ' \t'] },
  { text: '\\s+', lines: [' ', '  ', ''] },
  { text: '\\s{2,3}', lines: ['  ', '   ', '    ', ' '] },
  { text: '<F-USER>.*</F-USER> ', lines: ['root ', 'a b ', ' '] },
  { text: '[45]', lines: ['4', '6'] },
  { text: 'x?', lines: ['x', ''] },
];
const host: Piece = { text: '<HOST>', lines: addresses };
const ends: Piece[] = [
  { text: '$', lines: [''] },
  { text: '', lines: ['', ' more'] },
  { text: '\\b', lines: ['', ' x'] },
  { text: '(?: port \\d+)?$', lines: ['', ' port 22', ' port x'] },
  { text: ' .*$', lines: [' any', ''] },
];
const starts: Piece[] = [
  { text: '^', lines: [''] },
  { text: '', lines: ['', 'before '] },
  { text: '^\\s*', lines: [''] },
];

const expressions = fc.tuple(
  fc.constantFrom(...starts),
  fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 5 }),
  fc.constantFrom({ text: '', lines: [''] }, { text: ' ', lines: [' '] }, { text: ' from ', lines: [' from '] }),
  fc.array(fc.constantFrom(...pieces), { maxLength: 2 }),
  fc.constantFrom(...ends),
);

test('what counts here is matched by the expression, or the report said it is wider', () => {
  let counted = 0;
  let translated = 0;
  fc.assert(
    fc.property(expressions, fc.infiniteStream(fc.nat(9)), ([start, before, between, after, end], choices) => {
      const all = [start, ...before, between, host, ...after, end];
      const text = all.map((piece) => piece.text).join('');
      const { filter, remarks } = customise('tried', { failregex: { text, file: 'f', line: 1 } });
      if (!filter || remarks.some((remark) => remark.text.startsWith('wider'))) return;
      translated++;
      const [compiled] = compileFilters([tableOf(filter)], [], () => undefined);
      const grouped = text.trim().replace('<HOST>', hostPattern);
      const expression = new RegExp(grouped.replaceAll('<F-USER>', '(').replaceAll('</F-USER>', ')'));
      const lines = Array.from({ length: 12 }, () =>
        all.map(({ lines }) => lines[choices.next().value % lines.length]).join(''),
      );
      for (const [index, verdict] of tryLines(compiled!.program, lines).entries()) {
        if (verdict.outcome !== 'failure') continue;
        counted++;
        // Blanks before a message, and a colon behind a time, belong to neither.
        const [line, bare] = [lines[index]!, lines[index]!.trimStart()];
        expect(
          [line, bare, `   ${bare}`, `: ${bare}`, `  :  ${bare}`].filter((form) => expression.test(form)),
        ).not.toEqual([]);
        expect(lines[index]).toContain(formatAddress(verdict.address!));
      }
    }),
    { numRuns: 100 },
  );
  expect(translated).toBeGreaterThan(5);
  expect(counted).toBeGreaterThan(5);
});

const syntax = [
  '(',
  ')',
  '(?:',
  '(?i)',
  '(?!',
  '[',
  ']',
  '[^',
  '^',
  '$',
  '.',
  '*',
  '+',
  '?',
  '{2,3}',
  '{999}',
  '|',
  '\\',
];
const classes = [
  '\\d',
  '\\S',
  '\\w',
  '\\b',
  '\\1',
  '\\n',
  '\\x41',
  '<HOST>',
  '<ADDR>',
  '<F-USER>',
  '</F-USER>',
  '<F-ID>',
];
const noise = fc.array(fc.constantFrom(...syntax, ...classes, 'a', ' ', '-', '"', '{', '}', 'ü', "'"), {
  maxLength: 14,
});

test('whatever an expression is, it is translated or refused with a reason', () => {
  fc.assert(
    fc.property(noise, fc.constantFrom('', '<HOST>', ' from <HOST>$'), (parts, end) => {
      const text = `${parts.join('')}${end}`;
      const { filter, remarks } = customise('tried', { failregex: { text, file: 'f', line: 1 } });
      if (filter) expect(compileFilters([tableOf(filter)], [], (_, reason) => expect.fail(reason))).toHaveLength(1);
      else expect(remarks.filter(({ weight, text: reason }) => weight === 'warning' && reason !== '')).not.toEqual([]);
    }),
    { numRuns: 300 },
  );
  expect(new Refused('x', 'y').construct).toBe('x');
});

// --- Trees ---------------------------------------------------------------------------------------

const names = ['jail.conf', 'jail.local', 'jail.d/a.conf', 'jail.d/a.local', 'filter.d/own.conf', 'filter.d/own.local'];
const keys = [
  'enabled',
  'filter',
  'logpath',
  'failregex',
  'ignoreregex',
  'maxretry',
  'findtime',
  'bantime',
  'ignoreip',
];
const moreKeys = ['port', 'action', 'backend', 'before', 'after', 'prefregex', '_daemon', 'x', 'y', 'mode', 'protocol'];
const values = [
  ...[
    'true',
    'own',
    'sshd',
    'sshd[mode=%(mode)s]',
    '/var/log/a.log',
    '/var/log/*.log tail',
    'relative',
    '5',
    '-1',
    '0',
  ],
  ...['1h 30m', '99999999999999999999', '%(x)s%(x)s%(y)s', '%(y)s', '%(known/x)s', '<x><y>', '%', '%%', '%(__name__)s'],
  ...[
    '^%(__prefix_line)sfailed <HOST>$',
    'from <HOST>$',
    'jail.conf',
    'own.conf',
    '../filter.d/own.conf',
    '10.0.0.0/8',
  ],
  ...[
    'example.net ::1/0 127.0.0.1',
    'iptables[port="%(port)s"]',
    'systemd',
    'all',
    'ssh,0:70000',
    '\'"\u001b[31m',
    'ü',
  ],
  ...['a'.repeat(5000), '[', '=', ';', '#', '"""', "'''", '\\', 'a\n  b\n\n  c'],
];
const option = fc
  .tuple(fc.constantFrom(...keys, ...moreKeys), fc.constantFrom(...values))
  .map(([key, value]) => `${key} = ${value}`);
const heading = fc.constantFrom(
  '[DEFAULT]',
  '[own]',
  '[sshd]',
  '[INCLUDES]',
  '[Definition]',
  '[Init]',
  '[Init?x=1]',
  '[a b"\']',
  '[',
);
const content = fc.array(fc.oneof({ weight: 4, arbitrary: option }, { weight: 2, arbitrary: heading }), {
  maxLength: 12,
});
const sound = '[own]\nenabled = true\nfilter = sshd\nlogpath = /var/log/a.log\n';
const file = fc.oneof(
  { weight: 3, arbitrary: content.map((lines) => `${sound}${lines.join('\n')}\n`) },
  { weight: 8, arbitrary: content.map((lines) => `${lines.join('\n')}\n`) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom('link', 'folder') },
);

test('whatever a tree holds, the import ends, writes nothing beside it, and what it gives can be used', () => {
  let jails = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...names), file), { minLength: 1, maxLength: 6 }), (files) => {
      const root = mkdtempSync(join(tmpdir(), 'import-'));
      try {
        const tree = join(root, 'tree');
        mkdirSync(tree);
        for (const [name, what] of files) place(join(tree, name), what);
        const before = readdirSync(root, { recursive: true }).sort();
        const { text, plan } = importTree(tree);
        expect(readdirSync(root, { recursive: true }).sort()).toEqual(before);
        const { config } = compileConfig(text, 'x', { filters: knownFilters, groupId: () => 0 });
        const enabled = plan.jails.filter((jail) => jail.enabled).map(({ name }) => name);
        expect(config.jails.map(({ name }) => name).sort()).toEqual(enabled.sort());
        jails += enabled.length;
      } finally {
        rmSync(root, { recursive: true });
      }
    }),
    { numRuns: 60 },
  );
  expect(jails).toBeGreaterThan(0);
});

function place(path: string, what: string | Uint8Array): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  if (what === 'link') symlinkSync(path, path);
  else if (what === 'folder') mkdirSync(path);
  else writeFileSync(path, what);
}
