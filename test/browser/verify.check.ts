/**
 * reports/verify.html in a real browser: on a desktop, on a phone, in dark mode and in print.
 * Nothing is outside the page, every picture has a size, text has enough contrast, and the page
 * requests nothing but itself. Its pictures are left in reports/browser/ for people to look at.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { samplePage } from '../support/page.ts';
import { Chromium, unpackChromium } from './chromium.ts';

const missing = unpackChromium();
if (missing !== undefined) throw new Error(missing);

const views = [
  ['desktop', 1280, 'screen', 'light'],
  ['phone', 390, 'screen', 'light'],
  ['dark', 1280, 'screen', 'dark'],
  ['print', 794, 'print', 'light'],
] as const;
const sections = ['contents', 'pictures', 'rooms', 'long', 'claims', 'bounds'];
let browser: Chromium;
let url: string;

beforeAll(async () => {
  mkdirSync('reports/browser', { recursive: true });
  const path = resolve('reports/browser/sample.html');
  writeFileSync(path, samplePage());
  url = pathToFileURL(path).href;
  browser = await Chromium.start();
  await browser.open(url);
});

afterAll(() => browser?.close());

/** Elements that reach over the right edge, by their text. */
const outside = `[...document.querySelectorAll('body *')]
  .filter((each) => !each.closest('svg') && each.getBoundingClientRect().right > innerWidth + 1)
  .map((each) => each.tagName + ' ' + each.textContent.slice(0, 40))`;
/** Texts in pictures that reach over the picture's edge. */
const cutTexts = `[...document.querySelectorAll('svg text')].filter((each) => {
  const [text, picture] = [each.getBoundingClientRect(), each.closest('svg').getBoundingClientRect()];
  return text.right > picture.right + 1 || text.left < picture.left - 1 || text.bottom > picture.bottom + 1;
}).map((each) => each.textContent)`;
const smallPictures = `[...document.querySelectorAll('svg')]
  .filter((each) => each.getBoundingClientRect().width < 300 || each.getBoundingClientRect().height < 30).length`;
const colours = `['color', 'backgroundColor'].map((name) => getComputedStyle(document.body)[name].match(/[0-9.]+/g).map(Number))`;

/** Contrast of two colours, as WCAG defines it. */
function contrast(one: readonly number[], other: readonly number[]): number {
  const light = (rgb: readonly number[]) => {
    const [r = 0, g = 0, b = 0] = rgb.map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [bright = 0, dim = 0] = [light(one), light(other)].sort((a, b) => b - a);
  return (bright + 0.05) / (dim + 0.05);
}

test.each(views)('%s', async (name, width, media, scheme) => {
  await browser.show(width, media, scheme);
  expect(await browser.value(outside)).toEqual([]);
  expect(await browser.value(cutTexts)).toEqual([]);
  expect(await browser.value(smallPictures)).toBe(0);
  expect(await browser.value('document.querySelectorAll("svg").length')).toBeGreaterThan(4);
  const [ink = [], paper = []] = await browser.value<number[][]>(colours);
  expect(contrast(ink, paper)).toBeGreaterThan(7);
  expect(paper[0]! < 128).toBe(scheme === 'dark');
  for (const section of sections) {
    const top = await browser.value<number>(
      `document.getElementById('${section}').getBoundingClientRect().top + scrollY`,
    );
    writeFileSync(`reports/browser/${name}-${section}.png`, await browser.picture(width, top, 1600));
  }
});

test('the page is printed on paper, and asks for nothing but itself', async () => {
  const pdf = await browser.pdf();
  expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
  writeFileSync('reports/browser/print.pdf', pdf);
  expect(browser.requests).toEqual([url]);
});
