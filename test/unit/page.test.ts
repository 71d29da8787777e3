/**
 * The page of `npm run verify` is a sound document, without script or network, and complete. `npm
 * run test:browser` opens the same page in a browser.
 */
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { boundsOf } from '../../scripts/page/evidence.ts';
import { faultsOf, html } from '../../scripts/page/markup.ts';
import { claims } from '../../spec/claims.ts';
import { passages } from '../../spec/passages.ts';
import { breakages } from '../sabotage/breakages.ts';
import { samplePage } from '../support/page.ts';

const page = samplePage();

describe('the page of what holds', () => {
  test('is sound, runs nothing and loads nothing', () => {
    expect(faultsOf(page)).toEqual([]);
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quoted&quot;');
  });

  test('has an article for each claim, with its sentence, and each breakage with its claim', () => {
    expect(page.match(/<article id="/g)).toHaveLength(claims.length);
    const absent = breakages.filter(({ name, claims: ids }) => {
      const text = html`${name}`.text;
      return ids.length > 0 && page.split(`<li>${text} <span`).length - 1 !== ids.length;
    });
    expect(absent.map(({ name }) => name)).toEqual([]);
  });

  test('its links lead to files of the tree', () => {
    const targets = [...page.matchAll(/href="\.\.\/([^"]+)"/g)].map(([, target = '']) => target);
    expect(targets.length).toBeGreaterThan(100);
    expect([...new Set(targets)].filter((target) => !existsSync(target))).toEqual([]);
  });

  test('its pictures are drawn from archived runs', () => {
    for (const title of [
      'Resident size under',
      'Slots of the table',
      'Trust boundaries',
      'Named breakages by room',
      'Latency of bans',
    ])
      expect(page).toContain(`aria-label="${title}`);
  });
});

test('every claim but our own has its passage, and every passage has its claim', () => {
  const ids = claims.map(({ id }) => id).filter((id) => !id.startsWith('X-'));
  expect(Object.keys(passages).sort()).toEqual(ids.sort());
});

test.each([
  ['<p>text', 'not closed: p'],
  ['<p></b></p>', '</b> closes <p>'],
  ['<p>a < b</p>', 'a stray bracket'],
  ['<p>a & b</p>', 'a stray ampersand'],
  ['<script></script>', '<script> is not allowed'],
  ['<p onclick="x"></p>', 'an event attribute onclick'],
  ['<a href="https://example.net">x</a>', 'a reference to https://example.net'],
  ['<a href="#nowhere">x</a>', '#nowhere leads nowhere'],
  ['<p id="x"></p><p id="x"></p>', 'the id x occurs twice'],
  ['<style>@import "x";</style>', 'a style refers to something outside'],
])('of %s a fault is found', (text, fault) => {
  expect(faultsOf(text).join('; ')).toContain(fault);
});

test('bounds are read with value and reason', () => {
  const text = '/** Bytes of\n * a line. */\nexport const lineBytesMax = 4 * 1024;\n';
  expect(boundsOf('x.ts', text)).toEqual([
    { name: 'lineBytesMax', value: '4 * 1024', reason: 'Bytes of a line.', file: 'x.ts' },
  ]);
});
