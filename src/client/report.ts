/**
 * `fail2zig-client report`: a summary of the records of a period, as text, JSON or one HTML page
 * that needs neither network nor script. Input: records and the daemon's answers, whose texts may
 * contain anything: each passes `printable`, and in the page `escaped`.
 */

import { reportBars, reportRowsMax } from '../config/limits.ts';
import type { Stats, Status } from '../control/answers.ts';
import { formatAddress, maskAddress, parseCidr } from '../text/address.ts';
import { printable } from '../text/printable.ts';
import { remaining } from './event-text.ts';
import { table } from './present.ts';
import type { EventPart } from './records.ts';

export interface Counted {
  name: string;
  bans: number;
}

export interface Report {
  from: number;
  until: number;
  version: string;
  bans: number;
  unbans: number;
  /** Bans in each of equal parts of the period, oldest first. */
  overTime: number[];
  jails: Counted[];
  sources: Counted[];
  /** IPv4 by /24, IPv6 by /48. */
  networks: Counted[];
  /** Failures that led to a ban. */
  attempts: Counted[];
  problems: string[];
  memory: Status['memory'];
  /** Present values: evictions, drops and bans by their names in `stats`. */
  figures: Stats;
}

/** Upper bounds of the groups of failures per ban. */
const attemptGroups = [1, 2, 3, 5, 10, 20, 50] as const;

/** The report of `events`; only bans and unbans count. */
export async function gather(
  events: AsyncIterable<EventPart> | Iterable<EventPart>,
  status: Status,
  stats: Stats,
  from: number,
  until: number,
): Promise<Report> {
  const counts = { jails: new Map(), sources: new Map(), networks: new Map(), attempts: new Map() } as Record<
    'jails' | 'sources' | 'networks' | 'attempts',
    Map<string, number>
  >;
  const count = (what: keyof typeof counts, name: string): void => {
    counts[what].set(name, (counts[what].get(name) ?? 0) + 1);
  };
  const overTime = Array.from({ length: reportBars }, () => 0);
  let bans = 0;
  let unbans = 0;
  for await (const part of events) {
    for (const { event, at, jail = '', addresses = [], failures } of part.events) {
      if (event === 'unban') unbans += addresses.length;
      if (event !== 'ban') continue;
      bans += addresses.length;
      const bar = Math.min(reportBars - 1, Math.max(0, Math.floor(((at - from) / (until - from)) * reportBars)));
      overTime[bar]! += addresses.length;
      if (failures !== undefined) count('attempts', attemptGroup(failures));
      for (const address of addresses) {
        count('jails', jail);
        count('sources', address);
        count('networks', networkOf(address));
      }
    }
  }
  const most = (map: Map<string, number>): Counted[] =>
    [...map].map(([name, number]) => ({ name, bans: number })).toSorted((one, other) => other.bans - one.bans);
  return {
    ...{ from, until, version: status.version, bans, unbans, overTime },
    jails: most(counts.jails),
    sources: most(counts.sources).slice(0, reportRowsMax),
    networks: most(counts.networks).slice(0, reportRowsMax),
    attempts: attemptNames().flatMap((name) => {
      const number = counts.attempts.get(name) ?? 0;
      return number === 0 ? [] : [{ name, bans: number }];
    }),
    problems: status.problems,
    memory: status.memory,
    figures: Object.fromEntries(
      Object.entries(stats).filter(([name]) => /^(evictions|drops|bans|events)\./.test(name)),
    ),
  };
}

const attemptNames = (): string[] => [...attemptGroups.map((_, at) => groupName(at)), groupName(attemptGroups.length)];

function groupName(at: number): string {
  const from = (attemptGroups[at - 1] ?? 0) + 1;
  const to = attemptGroups[at];
  return to === undefined ? `${from} and more` : from === to ? String(to) : `${from} to ${to}`;
}

function attemptGroup(failures: number): string {
  const at = attemptGroups.findIndex((end) => failures <= end);
  return groupName(at < 0 ? attemptGroups.length : at);
}

function networkOf(text: string): string {
  const address = parseCidr(text, 'clear');
  if (typeof address === 'string') return text;
  return formatAddress(maskAddress({ ...address, prefix: Math.min(address.prefix, address.family === 4 ? 24 : 48) }));
}

const dayOf = (second: number): string => new Date(second * 1000).toISOString().slice(0, 16).replace('T', ' ');
const megabytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;

/** The lists of a report, each with its title. */
const listsOf = (report: Report): [title: string, rows: Counted[]][] => [
  ['By jail', report.jails],
  ['Sources', report.sources],
  ['Networks', report.networks],
  ['Failures a ban', report.attempts],
];

/** Bars as text, one character each. */
const bars = ' ▁▂▃▄▅▆▇█';

export function reportText(report: Report): string {
  const { from, until, bans, unbans, overTime, memory, problems } = report;
  const most = Math.max(1, ...overTime);
  const line = overTime.map((count) => bars[Math.ceil((count / most) * (bars.length - 1))]).join('');
  const lists = listsOf(report).map(([title, rows]) => {
    const shown = rows.map(({ name, bans: count }) => [`  ${printable(name)}`, String(count)]);
    return `\n${title}\n${shown.length === 0 ? '  none\n' : table(shown, [1])}`;
  });
  const said = problems.map((problem) => `problem: ${printable(problem)}\n`).join('');
  return `${dayOf(from)} to ${dayOf(until)} (${remaining(Math.round(until - from))}, UTC)
bans ${bans}, unbans ${unbans}, memory ${megabytes(memory.residentBytes)} of ${megabytes(memory.ceilingBytes)}
${said}
[${line}] most: ${Math.max(...overTime)}
${lists.join('')}`;
}

/** Text inside an element or an attribute. */
function escaped(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const style = `:root{color-scheme:light dark;--ink:#1a1a1a;--paper:#fff;--bar:#2563a8;--soft:#8884} *{box-sizing:border-box}
@media (prefers-color-scheme:dark){:root{--ink:#e6e6e6;--paper:#16181c;--bar:#7fb3ea}}
body{margin:0 auto;padding:1rem;max-width:60rem;font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:1.5rem 0 .4rem}p{margin:.3rem 0}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.6rem;margin:1rem 0}
dl div{border:1px solid var(--soft);border-radius:.4rem;padding:.4rem .6rem}dt{font-size:.8rem;opacity:.75}dd{margin:0;font-size:1.2rem}
section{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:0 2rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.15rem .3rem;border-bottom:1px solid var(--soft);overflow-wrap:anywhere}
td:last-child{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}svg{width:100%;height:9rem;display:block}rect{fill:var(--bar)}
.wrong{border-left:.25rem solid #c33;padding-left:.6rem}
@media print{:root{--ink:#000;--paper:#fff;--bar:#444}body{max-width:none;padding:0}table,svg,dl div{break-inside:avoid}}`;

function chart({ overTime, from, until }: Report): string {
  const most = Math.max(1, ...overTime);
  const width = 10;
  const rects = overTime.map((count, at) => {
    const height = Math.round((count / most) * 100);
    const start = from + ((until - from) * at) / overTime.length;
    return `<rect x="${at * width}" y="${100 - height}" width="${width - 1}" height="${height}"><title>${dayOf(start)}: ${count}</title></rect>`;
  });
  const label = `Bans over time, at most ${Math.max(...overTime)} in one bar`;
  return `<svg viewBox="0 0 ${overTime.length * width} 100" preserveAspectRatio="none" role="img" aria-label="${label}">${rects.join('')}</svg>
<p>${dayOf(from)} to ${dayOf(until)}; the highest bar is ${Math.max(...overTime)} bans.</p>`;
}

const htmlTable = (rows: [string, string][]): string =>
  rows.length === 0
    ? '<p>none</p>'
    : `<table><tbody>${rows.map(([name, value]) => `<tr><td>${escaped(name)}</td><td>${escaped(value)}</td></tr>`).join('')}</tbody></table>`;

export function reportHtml(report: Report): string {
  const { bans, unbans, memory, problems, figures, sources } = report;
  const facts: [string, string][] = [
    ['Bans', String(bans)],
    ['Unbans by hand', String(unbans)],
    ['Sources shown', String(sources.length)],
    ['Memory', `${megabytes(memory.residentBytes)} of ${megabytes(memory.ceilingBytes)}`],
    ['Table', `${memory.slotsUsed} of ${memory.slots}`],
    ['Evictions', String(figures['evictions.total'] ?? 0)],
  ];
  const lists = listsOf(report).map(
    ([title, rows]) =>
      `<div><h2>${title}</h2>${htmlTable(rows.map(({ name, bans: count }) => [name, String(count)]))}</div>`,
  );
  const said = problems.map((problem) => `<p class="wrong">${escaped(problem)}</p>`).join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>fail2zig: ${dayOf(report.from)} to ${dayOf(report.until)}</title>
<style>${style}</style>
</head>
<body>
<h1>fail2zig</h1>
<p>${dayOf(report.from)} to ${dayOf(report.until)} UTC, version ${escaped(report.version)}</p>
${said === '' ? '<p>No problems now.</p>' : said}
<dl>${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escaped(value)}</dd></div>`).join('')}</dl>
<h2>Bans over time</h2>
${chart(report)}
<section>${lists.join('')}
<div><h2>Figures now</h2>${htmlTable(Object.entries(figures).map(([name, value]) => [name, String(value)]))}</div></section>
</body>
</html>
`;
}
