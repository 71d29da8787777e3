/**
 * `report` and `top`: their output for records and answers, and that no text controls the reader's
 * terminal.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { gather, reportHtml, reportText } from '../../src/client/report.ts';
import { draw } from '../../src/client/top.ts';
import { reportBars } from '../../src/config/limits.ts';
import type { Event } from '../../src/history/event.ts';
import { fakeOperator } from '../support/control.ts';
import { tool } from '../support/tools.ts';

const hostile = 'a\u001b[2J<script>alert(1)</script>&"';
const ban = (number: number, at: number, addresses: string[], failures?: number, jail = 'sshd'): Event => ({
  ...{ number, at, event: 'ban', jail, addresses },
  ...(failures !== undefined && { failures }),
});

const from = 1_763_600_000;
const until = from + 7 * 86_400;
const events: Event[] = [
  ban(1, from, ['192.0.2.7'], 5),
  ban(2, from + 3_600, ['192.0.2.7'], 1),
  ban(3, until - 1, ['192.0.2.8', '2001:db8:1:2::/64'], 60, hostile),
  { number: 4, at: until - 1, event: 'unban', jail: 'sshd', addresses: ['192.0.2.7'] },
];

async function made() {
  const status = { ...fakeOperator().whole, problems: [hostile] };
  return gather([{ events }], status, { 'evictions.total': 3, 'lines.total': 9 }, from, until);
}

test('a report counts bans by time, jail, source, network and failures', async () => {
  const report = await made();
  expect(report).toMatchObject({ bans: 4, unbans: 1, figures: { 'evictions.total': 3 } });
  expect(report.overTime).toHaveLength(reportBars);
  expect([report.overTime[0], report.overTime.at(-1)]).toEqual([2, 2]);
  expect(report.jails).toEqual([
    { name: 'sshd', bans: 2 },
    { name: hostile, bans: 2 },
  ]);
  expect(report.sources[0]).toEqual({ name: '192.0.2.7', bans: 2 });
  expect(report.networks).toEqual([
    { name: '192.0.2.0/24', bans: 3 },
    { name: '2001:db8:1::/48', bans: 1 },
  ]);
  expect(report.attempts.map(({ name }) => name)).toEqual(['1', '4 to 5', '51 and more']);
});

test('the text fits 80 columns', async () => {
  const text = reportText(await made());
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(text).toContain('a\\x1b[2J');
});

test('the page is whole, needs nothing from elsewhere, and shows hostile texts as texts', async () => {
  const page = reportHtml(await made());
  expect(page).not.toMatch(/<script|https?:|url\(/);
  expect(page).not.toContain('\u001b');
  expect(page).toContain('a\\x1b[2J&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;');
  expect(page.match(/<rect /g)).toHaveLength(reportBars);
  expect(page).toContain('prefers-color-scheme:dark');
  expect(page).toContain('@media print');
  for (const tag of ['html', 'body', 'section', 'table', 'div', 'svg', 'dl']) {
    expect(page.split(`<${tag}>`).length + page.split(`<${tag} `).length, tag).toBe(page.split(`</${tag}>`).length + 1);
  }
});

const chromium = tool('chromium');

test.skipIf(chromium === undefined)('Chromium shows the page, as wide as a phone too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fail2zig-report-'));
  try {
    const path = join(folder, 'report.html');
    writeFileSync(path, reportHtml(await made()));
    const options = ['--headless', '--no-sandbox', '--disable-gpu', '--window-size=360,800', '--dump-dom'];
    const { stdout } = spawnSync(chromium!, [...options, `file://${path}`], { encoding: 'utf8', timeout: 60_000 });
    expect(stdout).toContain('<h2>Bans over time</h2>');
    expect(stdout.match(/<rect /g)).toHaveLength(reportBars);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a screen of top fits the terminal and lets no text act on it', () => {
  const status = { ...fakeOperator().whole, problems: [hostile] };
  const frame = {
    status,
    stats: { 'lines.total': 300, 'bans.total': 2 },
    before: { stats: { 'lines.total': 100, 'bans.total': 2 }, seconds: 2 },
    recent: events,
    sources: [['192.0.2.7', 2]] as const,
  };
  const lines = draw(frame, 80, 24);
  expect(lines.length).toBeLessThanOrEqual(24);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(lines.join('')).not.toContain('\u001b');
  expect(lines[1]).toContain('lines 100.0/s');
  expect(lines[2]).toContain('50.0 MiB of 64.0 MiB');
  expect(lines.join('\n')).toMatch(/^ {5}2 {2}192\.0\.2\.7$/m);
  expect(draw(frame, 40, 10)).toHaveLength(10);
});
