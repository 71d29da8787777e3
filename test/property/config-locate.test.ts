/**
 * The key locator against smol-toml. On documents that both accept, they find the same paths, and
 * each key is where the locator says.
 */
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { dotted, type KeyMap, locateKeys, offsetAt, type Path, pathKey, positionAt } from '../../src/config/locate.ts';

/** Every path of a parsed document: tables, values and elements. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  const below: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : typeof value === 'object' && value !== null && !(value instanceof Date)
      ? Object.entries(value)
      : [];
  const paths = below.flatMap(([part, item]) => pathsOf(item, [...path, part]));
  return path.length === 0 ? paths : [path, ...paths];
}

function sorted(paths: Iterable<Path>): string[] {
  return [...paths].map(pathKey).sort();
}

function located(keys: KeyMap): string[] {
  return sorted([...keys.places.values()].map((place) => place.path));
}

const bareKey = fc.stringMatching(/^[A-Za-z0-9_-]{1,4}$/);
const anyKey = fc
  .oneof(
    bareKey,
    fc.string({ unit: 'grapheme', maxLength: 4 }),
    fc.constantFrom('a.b', '#', '=', '[', "'", '"', '\\', 'é'),
  )
  .filter((key) => key !== '__proto__' && key !== 'constructor');

/** A key as TOML may write it. */
const writtenKey = fc.tuple(anyKey, fc.constantFrom('bare', 'basic', 'literal')).map(([key, style]) => {
  if (style === 'bare' && /^[A-Za-z0-9_-]+$/.test(key)) return key;
  if (style === 'literal' && [...key].every((one) => one !== "'" && one >= ' ' && one !== '\x7f')) return `'${key}'`;
  return basic(key);
});

/** TOML has the same escapes as JSON, except that TOML requires one for DEL. */
function basic(text: string): string {
  return JSON.stringify(text).replaceAll('\x7f', '\\u007f');
}

const space = fc.constantFrom('', ' ', '\t', '  ');
const blank = fc.constantFrom('', ' ', '\n', ' # ] } " \' = [\n', '\r\n', '\n\n\t');

const writtenValue = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(
      '1',
      '-1',
      '0x1F',
      '1_000',
      '3.14',
      'true',
      'false',
      'inf',
      '2026-01-01',
      '2026-01-01 07:32:00Z',
      '07:32:00',
    ),
    fc.string({ unit: 'grapheme', maxLength: 6 }).map(basic),
    fc.constantFrom(
      "''",
      "'\\'",
      '"\\""',
      '"# no comment"',
      '"""a\n[x]\ny = 1\n"""',
      "'''\n\"\"\"\n'''",
      '"""a"" b\\""""""',
      "'''''a'''''",
      '"""\\\n   \\\\"""',
    ),
    fc
      .array(fc.tuple(blank, tie('value'), blank), { maxLength: 3 })
      .map((items) => `[${items.map((parts) => parts.join('')).join(',')}]`),
    fc
      .array(fc.tuple(space, writtenKey, space, space, tie('value'), space), { maxLength: 3 })
      .map((items) => `{${items.map(([a, key, b, c, value, d]) => `${a}${key}${b}=${c}${value}${d}`).join(',')}}`),
  ),
})).value;

const dottedKey = fc
  .array(fc.tuple(writtenKey, space), { minLength: 1, maxLength: 3 })
  .map((parts) =>
    parts.map(([key, after], index) => (index < parts.length - 1 ? `${key}${after}.${after}` : key)).join(''),
  );

const statement = fc.oneof(
  fc
    .tuple(space, dottedKey, space, space, writtenValue, space, fc.constantFrom('', '# c = "'))
    .map(([a, key, b, c, value, d, comment]) => `${a}${key}${b}=${c}${value}${d}${comment}`),
  fc.tuple(space, dottedKey, space).map(([a, key, b]) => `${a}[${b}${key}${b}]`),
  fc.tuple(space, dottedKey, space).map(([a, key, b]) => `${a}[[${b}${key}${b}]]`),
  fc.constantFrom('', '# [comment]', '\t'),
);

const lines = fc
  .tuple(fc.array(statement, { maxLength: 8 }), fc.constantFrom('\n', '\r\n'))
  .map(([statements, newline]) => statements.join(newline));

/** The document, or undefined where smol-toml refuses it. */
function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

describe('the key locator', () => {
  test('knows the same paths as smol-toml, at the places where they are written', () => {
    let accepted = 0;
    fc.assert(
      fc.property(lines, (text) => {
        const document = parsed(text);
        if (document === undefined) return;
        accepted++;
        const keys = locateKeys(text);
        expect(located(keys)).toEqual(sorted(pathsOf(document)));
        for (const place of keys.places.values()) {
          const last = place.path.at(-1);
          if (typeof last === 'string') expect(keyAt(text, place.key)).toBe(last);
          expect(place.value).toBeGreaterThanOrEqual(place.key);
        }
        expect(keys.statements.filter((one) => one.duplicateOf !== undefined)).toEqual([]);
      }),
      { numRuns: 3000 },
    );
    // If smol-toml refused most generated documents, the test would prove nothing.
    expect(accepted).toBeGreaterThan(1000);
  });

  test('accepts any text: it ends, throws nothing, and its statements follow one another inside the text', () => {
    const noise = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc
        .array(
          fc.constantFrom(
            '[',
            ']',
            '{',
            '}',
            '"',
            "'",
            '"""',
            "'''",
            '\\',
            '=',
            ',',
            '.',
            '#',
            '\n',
            '\r',
            ' ',
            'a',
            '\\u00',
            '1',
          ),
          {
            maxLength: 60,
          },
        )
        .map((parts) => parts.join('')),
      fc.tuple(lines, fc.nat()).map(([text, at]) => text.slice(0, at % (text.length + 1))),
    );
    fc.assert(
      fc.property(noise, (text) => {
        let end = 0;
        for (const one of locateKeys(text).statements) {
          expect(one.start).toBeGreaterThanOrEqual(end);
          expect(one.end).toBeGreaterThan(one.start);
          end = one.end;
        }
        expect(end).toBeLessThanOrEqual(text.length);
      }),
      { numRuns: 5000 },
    );
  });

  test.each([
    ['[', 200_000],
    ['{a=', 200_000],
    ['a.', 200_000],
    ['[a]\n', 100_000],
    ['"""', 200_000],
  ])('%s many times over is bounded work', (part, times) => {
    expect(locateKeys(part.repeat(times)).places.size).toBeLessThanOrEqual(times);
    expect(locateKeys(`x = ${part.repeat(times)}`).places.size).toBeLessThanOrEqual(times + 1);
  });

  test('positions and offsets are inverse for text without wide characters', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'é', '\n', '\r\n'), { maxLength: 30 }),
        fc.nat({ max: 40 }),
        (parts, at) => {
          const text = parts.join('');
          const offset = Math.min(at, text.length);
          const { line, column } = positionAt(text, offset);
          expect(offsetAt(text, line, column)).toBe(offset);
        },
      ),
    );
  });

  test('a path is shown as TOML writes it', () => {
    expect(dotted(['jails', 'a b', 'ignoreip', 2])).toBe('jails."a b".ignoreip[2]');
    expect(dotted([''])).toBe('""');
  });
});

/** The key part written at `offset`, read by smol-toml itself. */
function keyAt(text: string, offset: number): string {
  const rest = text.slice(offset);
  const end = /^(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)/.exec(rest)?.[0] ?? '';
  return Object.keys(parse(`${end} = 1`))[0];
}
