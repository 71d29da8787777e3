/** Lists of decisions: the same whatever pieces they come in, and what is no list is an error. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseGoDuration } from '../../src/fleet/duration.ts';
import { type Decision, decisionsOf, ListError } from '../../src/fleet/stream.ts';
import { decision } from '../support/lapi.ts';

async function read(text: string | Uint8Array, size = 1 << 16): Promise<{ found: Decision[]; unreadable: number }> {
  const bytes = Buffer.from(text as string);
  let unreadable = 0;
  const found: Decision[] = [];
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  for await (const some of decisionsOf(pieces(), () => unreadable++)) found.push(...some);
  return { found, unreadable };
}

const list = JSON.stringify({
  deleted: [decision('192.0.2.9', { duration: '-1.5s' })],
  new: [decision('192.0.2.7', { id: 3, scope: 'IP', scenario: 'a "b" \\ é' }), decision('2001:db8::/48')],
});

describe('a list of decisions', () => {
  test('is read whole in pieces of any size', async () => {
    const { found } = await read(list);
    expect(found.map(({ kind, value, scope, seconds }) => [kind, value, scope, seconds])).toEqual([
      ['deleted', '192.0.2.9', 'ip', -1.5],
      ['new', '192.0.2.7', 'ip', 3_600],
      ['new', '2001:db8::/48', 'range', 3_600],
    ]);
    expect(found[1]!.scenario).toBe('a "b" \\ é');
    for (const size of [1, 2, 3, 7, 64]) expect((await read(`${list}\n`, size)).found).toEqual(found);
  });

  test('may be empty, in any order, and hold more than we know', async () => {
    expect((await read('{"new":null,"deleted":null}')).found).toEqual([]);
    expect((await read('{"new":[],"links":{"a":[1]},"deleted":[]}')).found).toEqual([]);
  });

  test('passes over what is no decision, and counts it', async () => {
    const odd = [1, null, {}, { ...decision('192.0.2.1'), duration: 'soon' }, { ...decision('x'.repeat(65)) }];
    const { found, unreadable } = await read(JSON.stringify({ new: [...odd, decision('192.0.2.2')], deleted: null }));
    expect(found.map(({ value }) => value)).toEqual(['192.0.2.2']);
    expect(unreadable).toBe(odd.length);
  });

  test.each([
    ['', /ends in its middle/],
    ['<html>busy</html>', /no JSON/],
    ['[]', /no object/],
    ['"new"', /no object/],
    ['7', /ends in its middle/],
    ['{}', /has no "new"/],
    ['{"message":"new"}', /has no "new"/],
    ['{"new":{}}', /"new" is no list/],
    ['{"new":"all"}', /"new" is no list/],
    ['{"new":[],"deleted":null} {', /no JSON/],
    [list.slice(0, -2), /ends in its middle/],
    [`{"new":${'['.repeat(9)}`, /nested too deep/],
    [`{"new":[{"value":"${'9'.repeat(600_000)}"}]}`, /a text without end/],
  ])('is refused: %.30s', async (text, why) => {
    await expect(read(text)).rejects.toThrow(ListError);
    await expect(read(text)).rejects.toThrow(why);
  });

  test('any bytes are a list or an error of ours', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.nat(list.length), async (bytes, at) => {
        const text = Buffer.concat([Buffer.from(list.slice(0, at)), bytes, Buffer.from(list.slice(at))]);
        await read(text, 5).catch((error) => expect(error).toBeInstanceOf(ListError));
      }),
      { numRuns: 100 },
    );
  });
});

test.each([
  ['4h', 14_400],
  ['1h2m3.5s', 3_723.5],
  ['-59.069ms', -0.059_069],
  ['2562047h47m16.854775807s', 9_223_372_036.854_776],
  ['0', 0],
  ['0s', 0],
  ['1µs', 1e-6],
  ['', undefined],
  ['s', undefined],
  ['1', undefined],
  ['1d', undefined],
  ['1h 2m', undefined],
  ['+-1s', undefined],
])('the length of time %s', (text, seconds) => {
  if (seconds === undefined) expect(parseGoDuration(text)).toBeUndefined();
  else expect(parseGoDuration(text)).toBeCloseTo(seconds, 5);
});
