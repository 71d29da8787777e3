/**
 * THREAT_MODEL.md against the register: an answer is in the present tense only if a specification
 * proves it. Every other row or item says *planned*.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { claims } from '../../spec/claims.ts';

const page = readFileSync('THREAT_MODEL.md', 'utf8');

/** Rows of tables that begin with an id, and items of lists that name one in brackets. */
function statements(text: string): { id: string; text: string }[] {
  const rows = [...text.matchAll(/^\| ([A-Z]+-\S+) \|.*$/gm)].map(([row, id]) => ({ id: id!, text: row }));
  const items = text.split(/\n(?=- |\n|#)/).filter((part) => part.startsWith('- '));
  const named = items.flatMap((item) =>
    [...item.matchAll(/\(([A-Z]+-[0-9a-z]+)\)/g)].map(([, id]) => ({ id: id!, text: item })),
  );
  return [...rows, ...named];
}

/** Ids whose statement and register disagree: `id says planned` or `id does not`. */
function disagreements(text: string, pending: ReadonlySet<string>): string[] {
  return statements(text).flatMap(({ id, text: said }) => {
    const planned = /\*planned\*/i.test(said);
    if (planned === pending.has(id)) return [];
    return [planned ? `${id} says planned` : `${id} does not say planned`];
  });
}

describe('threat model', () => {
  const pending = new Set(claims.filter((claim) => claim.pending !== undefined).map(({ id }) => id));

  test('pending claims are marked as planned, and nothing else is', () => {
    expect(disagreements(page, pending)).toEqual([]);
    expect(statements(page).length).toBeGreaterThan(40);
  });

  test('a row in the present tense without a specification is found', () => {
    const row = '| E-01c | | The filter is in force | |';
    expect(disagreements(row, new Set(['E-01c']))).toEqual(['E-01c does not say planned']);
    expect(disagreements('- *Planned* (E-01c): a filter.', new Set())).toEqual(['E-01c says planned']);
  });

  test('every claim of the threat model has a place on the page', () => {
    const families = /^(S|T|R|I|D|E|FM)-/;
    expect(claims.filter(({ id }) => families.test(id) && !page.includes(id)).map(({ id }) => id)).toEqual([]);
  });
});
