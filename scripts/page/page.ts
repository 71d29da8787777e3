/**
 * reports/verify.html: what a run of `npm run verify` found, as one page without script or
 * network that an auditor can keep. From an id it is one step to sentence, bound and breakages,
 * and one more to specification and code.
 */

import { type LongRecord, pathOf, recordText } from '../long/record.ts';
import type { LongRun } from '../long/runs.ts';
import type { Outcome, Status } from '../verify.ts';
import type { BenchRun, Evidence, Guard, SoakRun } from './evidence.ts';
import { faultsOf, html, Markup, sentence } from './markup.ts';
import { type Bar, bars, boundaries, curves, histogram, short } from './pictures.ts';
import { style } from './style.ts';

export interface PageRun {
  date: string;
  seconds: number;
  facts: Record<string, string | number>;
  outcomes: readonly Outcome[];
  /** The page of the requirements that an id belongs to. */
  pageOf: (id: string) => string;
}

const statuses: readonly Status[] = ['FAILED', 'NOT MET', 'SKIPPED', 'PENDING', 'NOT RUN', 'HELD', 'POSITION'];
const meaning: Readonly<Record<Status, string>> = {
  HELD: 'its specification passed, and every broken twin failed it',
  POSITION: 'an assumption or a refusal; nothing to run',
  PENDING: 'no specification proves it yet',
  'NOT MET': 'measured, and not reached',
  SKIPPED: 'this machine lacks what it needs',
  'NOT RUN': 'not asked for in this run',
  FAILED: 'does not hold, or was lowered',
};
const mebibyte = 2 ** 20;

const anchor = (id: string): string => id.replaceAll(/[^A-Za-z0-9]+/g, '-');
const kind = (status: Status): string => status.toLowerCase().replace(' ', '-');
/** The page lies in reports/; `file:line` is shown, the file is linked. */
const link = (place: string): Markup => html`<a href="../${place.split(':')[0]!}">${place}</a>`;
const facts = (machine: Record<string, string | number>): string =>
  Object.entries(machine)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
const badge = (status: Status): Markup => html`<span class="badge ${kind(status)}">${status}</span>`;

/** `src/engine/x.ts` → `src/engine`, `src/log.ts` → `src/log.ts`. */
function roomOf(file: string): string {
  const [first = '', second = ''] = file.split('/');
  return ['src'].includes(first) ? `${first}/${second}` : first;
}

/** Bounds that are named in the text between a claim's place and the next claim. */
function boundsNamed({ place }: Outcome, { specifications, bounds }: Evidence): Evidence['bounds'] {
  const [path = '', line = '1'] = place.split(':');
  const lines =
    specifications
      .get(path)
      ?.split('\n')
      .slice(Number(line) - 1) ?? [];
  const end = lines.findIndex((text, index) => index > 0 && /^(claim|for|if|describe)\b/.test(text));
  const text = lines.slice(0, end === -1 ? undefined : end).join('\n');
  return bounds.filter(({ name }) => new RegExp(`\\b${name}\\b`).test(text));
}

/** Files of ours that the claim's specification imports. */
function codeOf({ place }: Outcome, { specifications }: Evidence, guards: readonly Guard[]): string[] {
  const text = specifications.get(place.split(':')[0]!) ?? '';
  const imported = [...text.matchAll(/from '\.\.\/(src\/[^']+)'/g)].map(([, path = '']) => path);
  const guarded = guards.map(({ file }) => file);
  return [...new Set([...guarded, ...imported])];
}

function claimArticle(outcome: Outcome, evidence: Evidence, pageName: string): Markup {
  const { id, status, place, twinFailed, seconds } = outcome;
  const passage = evidence.passages[id];
  const guards = evidence.guards.filter(({ claims }) => claims.includes(id));
  const named = boundsNamed(outcome, evidence);
  const code = codeOf(outcome, evidence, guards);
  const row = (name: string, value: Markup | readonly Markup[]) => html`<dt>${name}</dt><dd>${value}</dd>`;
  const rows: Markup[] = [];
  if (passage !== undefined) {
    const here =
      passage.here === undefined ? html`` : html` <span class="soft">Here: ${sentence(passage.here)}.</span>`;
    rows.push(row(`The ${pageName} says`, html`${sentence(passage.says)}.${here}`));
  }
  const took = seconds > 0 ? html` <span class="soft">${seconds.toFixed(2)} s</span>` : html``;
  rows.push(row(status === 'HELD' || status === 'NOT MET' ? 'Evidence' : 'Why', html`${outcome.evidence}${took}`));
  if (twinFailed.length > 0) {
    const items = twinFailed.map(({ why, by }) => html`<li>${why}<br/><span class="caught">caught: ${by}</span></li>`);
    rows.push(row('Broken twins', html`<ul>${items}</ul>`));
  }
  if (outcome.tests !== undefined) {
    rows.push(row('Tests', html`${outcome.tests.count} tests of ${outcome.tests.files} files that speak for it pass`));
  }
  if (outcome.longRuns !== undefined) {
    const items = outcome.longRuns.map(({ path, says }) => html`<li>${says} ${link(path)}</li>`);
    rows.push(row('Long runs', html`<ul>${items}</ul>`));
  }
  if (named.length > 0) {
    const items = named.map(
      ({ name, value }) => html`<li><a href="#bound-${name}"><code>${name}</code></a> = <code>${value}</code></li>`,
    );
    rows.push(row('Bounds', html`<ul>${items}</ul>`));
  }
  if (guards.length > 0) {
    const items = guards.map(
      ({ name, file, noticedBy }) =>
        html`<li>${name} <span class="soft">(${link(file)}${noticedBy === '' ? '' : `, noticed by ${noticedBy}`})</span></li>`,
    );
    rows.push(row('What breaks it', html`<ul>${items}</ul>`));
  }
  if (place !== '') {
    const links = code.slice(0, 8).map((path) => html` · ${link(path)}`);
    rows.push(row('Where', html`${link(place)}${links}`));
  }
  return html`<article id="${anchor(id)}" class="claim"><h3><a href="#${anchor(id)}">${id}</a> ${badge(status)}</h3><p class="sentence">${sentence(outcome.sentence)}</p><dl>${rows}</dl></article>
`;
}

const figure = (picture: Markup, caption: Markup): Markup =>
  html`<figure>${picture}<figcaption>${caption}</figcaption></figure>
`;

const runNote = ({ path, command, at, machine, loadBefore, loadAfter }: BenchRun): Markup =>
  html`<span class="soft"><code>${command}</code>, ${at.slice(0, 10)}, ${facts(machine)}, load ${loadBefore.toFixed(1)} to ${loadAfter.toFixed(1)}: ${link(path)}</span>`;

function soakPictures(run: SoakRun): Markup[] {
  const { samples, options, command, date, machine, path } = run;
  const ceiling = Number.parseInt(options.ceiling, 10);
  const sources = options.sources.toLocaleString('en-US');
  const rss: [number, number][] = samples.map(({ seconds, rssBytes }) => [seconds, rssBytes / mebibyte]);
  const note = html`<span class="soft"><code>${command}</code>, ${date.slice(0, 10)}, ${facts(machine)}: ${link(path)}</span>`;
  return [
    figure(
      curves(`Resident size under ${sources} sources`, [{ label: 'resident', colour: 'a', points: rss }], 'MiB', {
        value: ceiling,
        says: `ceiling, ${ceiling} MiB`,
      }),
      html`Resident size of the whole process under ${sources} attacking sources. ${note}`,
    ),
    figure(
      curves(
        'Slots of the table in use, and evictions',
        [
          { label: 'slots in use', colour: 'a', points: samples.map(({ seconds, slotsUsed }) => [seconds, slotsUsed]) },
          { label: 'evictions', colour: 'b', points: samples.map(({ seconds, evictions }) => [seconds, evictions]) },
        ],
        '',
        { value: samples.at(-1)?.slots ?? 0, says: 'slots' },
      ),
      html`Occupancy of the table, and evictions so far, in the same run.`,
    ),
  ];
}

/** One bar for each workload `PREFIX/name` of a run, by the figure's median. */
function barsOf(run: BenchRun, prefix: string, figureName: string): Bar[] {
  return run.results
    .filter(({ workload }) => workload.startsWith(prefix))
    .flatMap(({ workload, figures }) => {
      const found = figures.find(({ name }) => name === figureName);
      if (found === undefined) return [];
      const label = workload.slice(prefix.length);
      const spread = found.n > 1 ? ` ±${Math.round(found.spread * 100)} %` : '';
      return [
        {
          label,
          value: found.median,
          says: `${short(found.median)} ${found.unit}${spread}`,
          ours: label.startsWith('fail2zig'),
        },
      ];
    });
}

function peerPictures({ runs }: Evidence): Markup[] {
  const pictures: Markup[] = [];
  const peers = runs.get('peers');
  const rows = peers === undefined ? [] : barsOf(peers, 'parse/', 'cpu');
  if (peers !== undefined && rows.length > 1) {
    const says = 'Lines a second of CPU time over the same file, longer is better';
    pictures.push(figure(bars(says, rows, 1_000), html`${says} (logarithmic scale from 1,000). ${runNote(peers)}`));
  }
  const ban = runs.get('ban');
  const actions = ban === undefined ? [] : barsOf(ban, '', 'decision-to-ack');
  if (ban !== undefined && actions.length > 1) {
    const named = actions.map((row) =>
      row.label.includes('/') ? row : { ...row, label: `fail2zig, ${row.label}`, ours: true },
    );
    const says = 'From the decision to the acknowledgement by the kernel, shorter is better';
    pictures.push(figure(bars(says, named, 10), html`${says} (logarithmic scale from 10 µs). ${runNote(ban)}`));
  }
  return pictures;
}

function latencyPictures({ runs }: Evidence): Markup[] {
  const run = runs.get('latency');
  if (run === undefined) return [];
  return run.results.flatMap(({ workload, figures }) => {
    const found = figures.find(({ name }) => name === 'line-to-kernel');
    if (found === undefined) return [];
    const says = html`From the line in the log to the element in the kernel's set, ${workload}: median ${short(found.median)} ms, p99 ${short(found.p99)} ms of ${found.n} bans. ${runNote(run)}`;
    if (found.histogram === undefined) return [html`<p>${says}</p>`];
    return [figure(histogram(`Latency of bans, ${workload}`, found.histogram, 'ms, upper end of each range'), says)];
  });
}

function rooms({ guards }: Evidence): Markup {
  const byRoom = new Map<string, Guard[]>();
  for (const guard of guards) {
    const room = roomOf(guard.file);
    byRoom.set(room, [...(byRoom.get(room) ?? []), guard]);
  }
  const rows = [...byRoom].sort(([, one], [, other]) => other.length - one.length);
  const drawn = rows.map(([room, list]): Bar => {
    const claims = new Set(list.flatMap(({ claims: ids }) => ids)).size;
    return { label: room, value: list.length, says: `${list.length} breakages, ${claims} claims`, ours: true };
  });
  const items = rows.map(([room, list]) => {
    const ids = [...new Set(list.flatMap(({ claims }) => claims))].sort();
    return html`<tr><td>${room}</td><td>${ids.map((id) => html`<a href="#${anchor(id)}">${id}</a> `)}</td></tr>`;
  });
  return html`${figure(bars('Named breakages by room', drawn), html`How many named breakages each room has, and how many claims notice them.`)}<table class="rooms"><thead><tr><th>room</th><th>claims that guard it</th></tr></thead><tbody>${items}</tbody></table>`;
}

/** A long run with its newest record, or a note that there is none. */
function longRunCard({ run, record }: { run: LongRun; record: LongRecord | undefined }, build: string): Markup {
  const command = `npm run ${[run.script, '--', ...run.parameters].join(' ')} --record`;
  if (record === undefined)
    return html`<article class="claim"><h3>${run.name}: ${run.says}</h3><p class="soft">not recorded; <code>${command}</code></p></article>
`;
  const { machine, loadBefore, loadAfter, note, found = [] } = record;
  const busy = loadBefore === undefined ? '' : `, load ${loadBefore.toFixed(1)} to ${(loadAfter ?? 0).toFixed(1)}`;
  const remark = note === undefined ? html`` : html`<p>${note}</p>`;
  const rows = found.map((text) => html`<tr><td>${text}</td></tr>`);
  const words = found.length === 0 ? html`` : html`<table><tbody>${rows}</tbody></table>`;
  return html`<article class="claim"><h3>${run.name}: ${run.says}</h3><p>${recordText(record, build)}.</p><p class="soft"><code>${record.command}</code>, ${facts(machine)}${busy}. ${link(pathOf(run.name))}</p>${remark}${words}</article>
`;
}

/** What takes hours: the recorded runs, each with its date and machine. */
function longEvidence({ soaks, sabotage, guards, longRuns, build }: Evidence): Markup {
  const cards = soaks.map(({ options, date, machine, note = '', checks, path }) => {
    const failed = checks.filter(({ ok }) => !ok);
    const rows = checks.map(
      ({ name, ok, found }) =>
        html`<tr><td>${ok ? 'ok' : html`<strong class="bad">no</strong>`}</td><td>${name}</td><td>${found}</td></tr>`,
    );
    return html`<article class="claim"><h3>Soak of ${options.sources.toLocaleString('en-US')} sources, ${Math.round(options.seconds / 60)} minutes</h3><p>${date.slice(0, 10)}, ${facts(machine)}${note === '' ? '' : `; ${note}`}. ${checks.length - failed.length} of ${checks.length} checks passed. ${link(path)}</p><table><tbody>${rows}</tbody></table></article>
`;
  });
  const tried =
    sabotage === undefined
      ? html`${guards.length} breakages are named; no run over all of them is recorded here (<code>npm run sabotage -- --all</code>).`
      : html`${guards.filter(({ noticedBy }) => noticedBy !== '').length} of ${guards.length} breakages tried on ${sabotage.date.slice(0, 10)} at ${sabotage.commit.slice(0, 12)}; ${guards.filter(({ noticedBy }) => noticedBy === 'nobody').length} noticed by nobody.`;
  return html`<p><code>npm run verify -- --full</code> makes them anew.</p>${longRuns.map((each) => longRunCard(each, build))}<p>${tried}</p>${cards}`;
}

function contents(outcomes: readonly Outcome[], pageOf: PageRun['pageOf']): Markup {
  const pages = Map.groupBy(outcomes, ({ id }) => pageOf(id));
  return html`${[...pages].map(
    ([page, list]) =>
      html`<h3>${page}</h3><p class="ids">${list.map(({ id, status }) => html`<a class="${kind(status)}" href="#${anchor(id)}">${id}</a> `)}</p>
`,
  )}`;
}

function bounds(evidence: Evidence): Markup {
  const rows = evidence.bounds.map(
    ({ name, value, reason, file }) =>
      html`<tr id="bound-${name}"><td><code>${name}</code></td><td><code>${value}</code></td><td>${sentence(reason)} ${link(file)}</td></tr>`,
  );
  return html`<table class="bounds"><thead><tr><th>bound</th><th>value</th><th>reason</th></tr></thead><tbody>${rows}</tbody></table>`;
}

const section = (id: string, title: string, inside: Markup): Markup =>
  html`<section id="${id}"><h2>${title}</h2>
${inside}
</section>
`;

/** The whole page; throws if it is not valid, which is our mistake. */
export function pageText({ date, seconds, facts: machine, outcomes, pageOf }: PageRun, evidence: Evidence): string {
  const count = (status: Status) => outcomes.filter((outcome) => outcome.status === status).length;
  const totals = statuses
    .filter((status) => count(status) > 0)
    .map(
      (status) =>
        html`<li>${badge(status)} <strong>${count(status)}</strong> <span class="soft">${meaning[status]}</span></li>`,
    );
  const claims = statuses
    .flatMap((status) => outcomes.filter((outcome) => outcome.status === status))
    .map((outcome) => claimArticle(outcome, evidence, pageOf(outcome.id)));
  const soak = evidence.soaks.find(({ options }) => options.sources === 1_000_000) ?? evidence.soaks.at(-1);
  const pictures = [
    ...(soak === undefined ? [] : soakPictures(soak)),
    ...peerPictures(evidence),
    ...latencyPictures(evidence),
    figure(boundaries(), html`Where authority changes hands. ${link('THREAT_MODEL.md')} describes each boundary.`),
  ];
  const page = html`<html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/><title>fail2zig: what holds</title><style>${new Markup(style)}</style></head><body>
<header><h1>fail2zig: what holds</h1>
<p>${outcomes.length} claims, checked on ${date} in ${Math.round(seconds)} s (${facts(machine)}). A claim is HELD when its specification passes with the real piece and fails, by an assertion, with every broken twin. Nobody types a status: <code>npm run verify</code> computes it.</p>
<ul class="totals">${totals}</ul>
<nav><a href="#contents">Claims by page</a> · <a href="#pictures">Pictures</a> · <a href="#rooms">Rooms</a> · <a href="#long">Long runs</a> · <a href="#claims">Claims</a> · <a href="#bounds">Bounds</a></nav></header>
${section('contents', 'Claims by page', contents(outcomes, pageOf))}${section('pictures', 'Pictures', html`<div class="pictures">${pictures}</div>`)}${section('rooms', 'Which claims guard which room', rooms(evidence))}${section('long', 'Long runs', longEvidence(evidence))}${section('claims', 'Every claim', html`<p class="soft">What does not hold comes first.</p>${claims}`)}${section('bounds', 'Bounds', bounds(evidence))}</body></html>
`;
  const text = `<!doctype html>\n${page.text}`;
  const faults = faultsOf(text);
  if (faults.length > 0) throw new Error(`the page is not sound: ${faults.slice(0, 5).join('; ')}`);
  return text;
}
