/**
 * The register is complete: each claim is proven by one specification, pending with a reason, or a
 * position.
 */
import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { collect, type Definition } from '../../spec/claim.ts';
import { claims } from '../../spec/claims.ts';
import { environments } from '../../spec/environment.ts';
import { pendingReasons } from '../../spec/pending.ts';
import { forNoClaim, testedClaims } from '../../spec/tests.ts';

let definitions: Definition[] = [];

beforeAll(async () => {
  const files = globSync('spec/**/*.spec.ts').sort();
  definitions = await collect(async () => {
    for (const file of files) await import(/* @vite-ignore */ pathToFileURL(resolve(file)).href);
  });
  // This loads every specification with all that it imports, which takes long beside other tests.
}, 120_000);

const proven = () => definitions.flatMap(({ ids }) => ids);

describe('register of claims', () => {
  test('no id occurs twice', () => {
    const ids = claims.map(({ id }) => id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  test('no id is proven twice', () => {
    const ids = proven();
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  test('each claim is settled exactly once: proven, pending or a position', () => {
    const specified = new Set(proven());
    const unsettled = claims.filter(({ id, kind, pending }) => {
      const ways = [specified.has(id), pending !== undefined, kind === 'position'];
      return ways.filter(Boolean).length !== 1;
    });
    expect(unsettled.map(({ id }) => id)).toEqual([]);
  });

  test('specifications and pending reasons name known ids only', () => {
    const known = new Set(claims.map(({ id }) => id));
    expect([...proven(), ...Object.keys(pendingReasons)].filter((id) => !known.has(id))).toEqual([]);
  });

  test('each specification has a twin, and each twin says what is wrong with it', () => {
    expect(definitions.filter(({ twins }) => twins.length === 0 || twins.some((why) => why.length < 8))).toEqual([]);
  });

  test('each reason for a skip is in the table of environments', () => {
    expect(definitions.flatMap(({ needs }) => needs).filter((need) => !(need in environments))).toEqual([]);
  });

  test('each pending claim and each sentence says something', () => {
    expect(claims.filter(({ sentence }) => sentence.length < 20 || !sentence.endsWith('.'))).toEqual([]);
    expect(claims.filter(({ pending }) => pending !== undefined && pending.length < 10)).toEqual([]);
  });

  test('what was HELD once is still claimed, and is not pending', () => {
    const held: string[] = JSON.parse(readFileSync('spec/held.json', 'utf8'));
    const specified = new Set(proven());
    expect(held.length).toBeGreaterThanOrEqual(110);
    expect(held.filter((id) => !specified.has(id))).toEqual([]);
  });

  test('each test file speaks for a claim that is proven, or is listed as one that speaks for none', () => {
    const files = globSync('test/{unit,property}/*.test.ts').sort();
    expect([...testedClaims.keys(), ...forNoClaim].filter((file) => !file.startsWith('test/netns/')).sort()).toEqual(
      files,
    );
    const specified = new Set(proven());
    expect([...testedClaims.values()].flat().filter((id) => !specified.has(id))).toEqual([]);
  });

  test('the 168 rows of the requirements are all there', () => {
    expect(claims.filter(({ id }) => !id.startsWith('X-')).length).toBe(168);
  });
});
