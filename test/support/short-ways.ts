/**
 * Compares engines in separate folders, for test/property/short-ways.test.ts: in a separate
 * process, since plain engines share their imports.
 *
 * Called with SEED LINES REFERENCE ENGINE…; prints JSON: for each engine the number of lines after
 * which it differs from the reference, or -1.
 *
 * Each engine gets the same hostile lines, cut wherever a read happens to end. After some lines
 * their memories must be equal, byte by byte, except for what an engine remembers about the form of
 * lines.
 */
import { join } from 'node:path';
import type { Engine, EngineJail } from '../../src/engine/host.ts';
import * as layout from '../../src/engine/layout.ts';
import { filters } from '../../src/filters/index.ts';
import { randomFrom } from './sshd-sessions.ts';

const [seed, lines, ...folders] = process.argv.slice(2) as [string, string, ...string[]];
const random = randomFrom(Number(seed));
const below = (count: number): number => Math.floor(random() * count);
const of = <Item>(list: readonly Item[]): Item => list[below(list.length)]!;
const two = (value: number): string => String(value).padStart(2, '0');

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** Moments at which a month, a year, a leap day or the clocks of Berlin and Lord Howe turn. */
const turns = ['2026-03-01', '2026-01-01', '2024-02-29', '2024-03-01', '2026-03-29', '2025-10-26', '2026-04-04'].map(
  (day) => Date.parse(`${day}T01:00:00Z`) / 1000,
);
const day = 86_400;

/** How services write a moment of local time, with whatever zone they write. */
const stamps: ((date: Date) => string)[] = [
  (date) => `${months[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)} ${clock(date)}`,
  (date) => `${months[date.getUTCMonth()]} ${two(date.getUTCDate())} ${clock(date)}`,
  (date) => `${months[date.getUTCMonth()]} ${date.getUTCDate()} ${date.getUTCFullYear()} ${clock(date)}`,
  (date) =>
    `${isoDay(date)}T${clock(date)}${of(['', '', '.123', `.${below(1e6)}`])}${of(['', 'Z', '+01:00', '-0330'])}`,
  (date) => `${isoDay(date)} ${clock(date)}${of(['', ',123', ' CEST', ' PM', ' AM'])}`,
  (date) => `${months[date.getUTCMonth()]} ${two(date.getUTCDate())} ${clock(date)}${of([' AM', ' PM', ' CET'])}`,
];

function clock(date: Date): string {
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
}

function isoDay(date: Date): string {
  return `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
}

const samples = filters.flatMap(({ patterns }) => patterns.flatMap(({ sample, counter }) => [sample, counter]));
const users = ['root', 'x', 'a b', "x' from 192.0.2.9 port 1 ssh2", ''];
/** Ends of a line beside the usual one. */
const ends = [' ssh2', ' ssh2', ' ssh2', ' ssh1', ' xssh', ' ssh2 [preauth]', ' on 192.0.2.1 ssh2'];
const messages: ((address: string) => string)[] = [
  (address) =>
    `Failed password for ${of(users)} from ${address} port ${of([below(70_000), below(9e9), ''])}${of(ends)}`,
  (address) =>
    `Failed password for invalid user ${of(users)} ${of(['from', 'via'])} ${address} ${of(['port', 'sort'])} 1 ssh2`,
  (address) => `Failed password for invalid user ${of(users)} from ${address} port ${below(70_000)} ssh2`,
  (address) => `Invalid user ${of(users)} from ${address} port ${below(70_000)}`,
  (address) => `Received disconnect from ${address} port ${below(70_000)}:11: Bye Bye [preauth]`,
  (address) => `pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=${address} `,
  () => 'pam_unix(sshd:auth): check pass; user unknown',
  (address) => `message repeated 2 times: [ Failed password for root from ${address} port 1 ssh2]`,
  () => `last message repeated ${of([0, 1, 2, 20])} times`,
  (address) => `[ID 800047 auth.info] Invalid user x from ${address} port 1`,
  (address) => `\x1b[1mInvalid user x from ${address}\x1b[0m port 1`,
];
const tags = ['sshd', 'sshd', 'sshd', 'sshd-session', 'CRON', 'su', 'sshdx', 'dovecot'];

/** A line of a web server's log, which needs no head. */
function probe(address: string, date: Date): string {
  const stamp = `${two(date.getUTCDate())}/${months[date.getUTCMonth()]}/${date.getUTCFullYear()}:${clock(date)} +0000`;
  const path = of(['phpmyadmin', 'pma', 'index.html']);
  return `${address} - - [${stamp}] "GET /${path} HTTP/1.1" ${of([404, 404, 200])} 153 "-" "${of(['-', '" 404 '])}"`;
}

function* someLines(now: number): Generator<string, never> {
  // Most files are like this: written in one way, of the last hours.
  const isUsual = below(3) === 0;
  const form = isUsual ? stamps[0]! : of(stamps);
  const other = of(stamps);
  const start = isUsual ? now - 3_600 : of([now, now - below(700 * day), of(turns)]);
  const spread = isUsual ? 1 : of([1, 60, 5_000, 2 * day, 60 * day, 800 * day]);
  const host = of(['host', 'h', 'web1.example.org']);
  let tag = of(tags);
  for (let line = 0; ; line++) {
    const time = start + (spread < 60 ? line : below(spread) - Math.floor(spread / 2));
    const stamp = (below(20) === 0 ? other : form)(new Date(time * 1000));
    const six = below(9) === 0 ? `2001:db8:${below(65_536).toString(16)}::7` : undefined;
    const address =
      (six ?? `198.51.${below(256)}.${below(256)}`) + of(below(9) === 0 ? ['.', ':', ':22', '%x y'] : ['']);
    if (below(8) === 0) tag = of(tags);
    const pid = of(['', `[${below(40)}]`, `[${below(40)}]`, `[${below(40)}]`]);
    if (below(8) === 0) yield probe(address, new Date(time * 1000));
    if (below(6) === 0) yield `${stamp} ${host} ${of(['', 'syslogd: '])}last message repeated ${below(4)} times`;
    yield below(6) === 0 ? of(samples) : `${stamp} ${host} ${tag}${pid}: ${of(messages)(address)}`;
  }
}

/** The line with some of its bytes, mostly digits, changed. */
function mutated(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  for (let changes = of([0, 0, 1, 1, 1, 2]); changes > 0; changes--) {
    const at = below(of([bytes.length, 30, 16]));
    if (at >= bytes.length) continue;
    const isDigit = bytes[at]! >= 48 && bytes[at]! <= 57;
    bytes[at] = isDigit && below(4) > 0 ? of([48 + below(10), 48 + below(10), 32, 33 + below(4)]) : below(256);
  }
  const line = bytes.toString('latin1');
  return below(60) === 0 ? line.slice(0, below(line.length)) : line;
}

const jails = filters.map(
  ({ name }): EngineJail => ({
    ...{ filter: name, mode: '', maxretry: of([1, 1, 3]), findtime: 4e8, bantime: 1 },
    ...{ ipv6Prefix: 64, ignore: [] },
  }),
);
/** sshd, nginx-botsearch and three others; the first three also alone. */
const botsearch = jails.findIndex(({ filter }) => filter === 'nginx-botsearch');
const someJails = [0, botsearch, ...Array.from({ length: 3 }, () => below(jails.length))];
const epoch = Date.parse('2026-03-20T12:00:00Z') / 1000;

const engines = await Promise.all(
  folders.map(async (folder): Promise<Engine> => {
    const { Engine } = await import(join(folder, 'src', 'engine', 'host.ts'));
    const engine: Engine = await Engine.create({
      ...{ build: 'plain', jails, tableBytes: 2 ** 20, live: false, seed: [1, 2], now: epoch },
    });
    engine.openSource(0, engine.addRoute(jails.map(({ filter }, index) => ({ index, filter, mode: '' }))));
    const some = someJails.map((index) => ({ index, filter: jails[index]!.filter, mode: '' }));
    engine.openSource(1, engine.addRoute([...new Map(some.map((each) => [each.index, each])).values()]));
    for (const [nth, jail] of [some[0]!, some[1]!, some[2]!].entries())
      engine.openSource(2 + nth, engine.addRoute([jail]));
    return engine;
  }),
);

/** Whether two engines hold the same, except what they remember about the form of lines. */
function agree(one: Engine, other: Engine): boolean {
  const [ours, theirs] = [one, other].map((engine) => Buffer.from(engine.buffer.buffer)) as [Buffer, Buffer];
  const parts = [
    [0, layout.CHARGES_TOUCHED],
    [layout.CHARGES_TOUCHED + 4, layout.HEAD_FORM],
    [layout.FIXED_BYTES, ours.length],
  ] as const;
  return parts.every(([from, to]) => ours.subarray(from, to).equals(theirs.subarray(from, to)));
}

const differsAfter = folders.slice(1).map(() => -1);
let now = epoch;
let writer = someLines(now);
for (let fed = 0; fed < Number(lines) && differsAfter.some((after) => after < 0); ) {
  // A file continues while the clock moves on, or another file begins.
  if (below(2) === 0) now += below(3);
  else {
    now = of([epoch, epoch + below(40 * day), of(turns) + below(day), epoch + random()]);
    writer = someLines(now);
  }
  const source = of([0, 1, 1, 2, 2, 2, 2, 3, 4]);
  const count = 20 + below(100);
  const text = Array.from({ length: count }, () => mutated(writer.next().value) + of(['\n', '\n', '\n', '\r\n'])).join(
    '',
  );
  const input = Buffer.from(text, 'latin1');
  const cut = below(2) === 0 ? input.length : 1 + below(input.length);
  for (const [index, engine] of engines.entries()) {
    if (index > 0 && differsAfter[index - 1]! >= 0) continue;
    for (const [from, to] of [
      [0, cut],
      [cut, input.length],
    ] as const) {
      // What the first read left is read again.
      engine.buffer.set(input.subarray(from, to));
      engine.feed(source, to - from, from, now, true);
      engine.takeDecisions(() => undefined);
    }
  }
  fed += count;
  for (const [index, after] of differsAfter.entries()) {
    if (after < 0 && !agree(engines[0]!, engines[index + 1]!)) differsAfter[index] = fed;
  }
}
process.stdout.write(JSON.stringify(differsAfter));
