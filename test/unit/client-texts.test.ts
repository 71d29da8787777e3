/**
 * What the client prints, whole: each field of an answer in its place, in the words that stand for
 * it, and as JSON as it came.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { eventText, remaining } from '../../src/client/event-text.ts';
import { presenterOf } from '../../src/client/present.ts';
import { gather, reportHtml, reportText } from '../../src/client/report.ts';
import { draw, type Frame } from '../../src/client/top.ts';
import { presentWhy } from '../../src/client/why.ts';
import { reportBars, reportRowsMax, topRowsMax, whyTimesMax } from '../../src/config/limits.ts';
import type { JailStatus, JailView, Status } from '../../src/control/answers.ts';
import type { Event } from '../../src/history/event.ts';

const now = Date.UTC(2025, 10, 21, 1, 15, 28) / 1000;

beforeEach(() => void vi.useFakeTimers({ now: now * 1000, toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

const jail = (name: string, from: number): JailStatus => ({
  jail: name,
  filter: `${name}:normal`,
  bansActive: from + 1,
  bansPending: from + 2,
  bansTotal: from + 3,
  packetsDropped: from + 4,
  failuresTotal: from + 5,
  sources: [`/var/log/${name}.log`, '/b'],
});

const status: Status = {
  version: '1.2.3',
  pid: 4711,
  uptimeSeconds: 93_784,
  backend: 'nftables',
  memory: {
    residentBytes: 52_428_800,
    ceilingBytes: 67_108_864,
    kernelBytes: 2_097_152,
    slots: 700_000,
    slotsUsed: 12,
  },
  jails: [jail('sshd', 100), jail('web', 2_000)],
  problems: ['one', 'two'],
  hints: ['three'],
  confined: ['no exec', 'no net'],
  lists: ['/a: 3 entries, ignored', '/b: 4 entries, banned in sshd'],
};

const by = { uid: 1000, pid: 7 };
const at = now - 3_600;

/** Verb → parts of its answer → what people see. */
const answers: [verb: string, parts: object[], text: string][] = [
  [
    'status',
    status.jails.map((each) => ({ ...status, jails: [each] })),
    `fail2zig  1.2.3, process 4711, up 1d 2h
backend   nftables
memory    50.0 MiB of 64.0 MiB
kernel    about 2.0 MiB for bans
table     12 of 700000 slots used
confined  no exec
          no net
lists     /a: 3 entries, ignored
          /b: 4 entries, banned in sshd

jail  filter       active  pending  bans  dropped  failures  sources
sshd  sshd:normal     101      102   103      104       105  /var/log/sshd.log /b
web   web:normal     2001     2002  2003     2004      2005  /var/log/web.log /b

problem: one
problem: two
hint: three
`,
  ],
  ['stats', [{ 'lines.total': 5, 'a.b': 1_234 }], 'lines.total:     5\na.b:          1234\n'],
  [
    'jails',
    [
      { jails: [{ jail: 'sshd', filter: 'sshd:ddos', bansActive: 3 }] },
      { jails: [{ jail: 'web', filter: 'nginx', bansActive: 12 }] },
    ],
    `jail  filter     active
sshd  sshd:ddos       3
web   nginx          12
`,
  ],
  [
    'ban',
    [
      {
        jail: 'sshd',
        addresses: ['192.0.2.1', '192.0.2.2', '198.51.100.1'],
        seconds: 90,
        refused: [{ address: '192.0.2.9', code: 'ignored', why: '192.0.2.9 is ignored' }],
      },
    ],
    `banned 192.0.2.1 to 192.0.2.2 (2 addresses) in sshd for 1m 30s
banned 198.51.100.1 in sshd for 1m 30s
not banned: 192.0.2.9 is ignored
`,
  ],
  [
    'ban',
    [{ jail: 'sshd', addresses: ['2001:db8::/64', '2001:db8:0:1::/64'], seconds: -1, refused: [] }],
    'banned 2001:db8::/64 in sshd permanently\nbanned 2001:db8:0:1::/64 in sshd permanently\n',
  ],
  [
    'unban',
    [
      {
        addresses: [
          { address: '192.0.2.1', jails: ['sshd', 'web'] },
          { address: '192.0.2.2', jails: ['sshd', 'web'] },
          { address: '192.0.2.3', jails: ['sshd'], kernelOnly: ['web'] },
        ],
      },
      {
        addresses: [
          { address: '192.0.2.4', jails: [] },
          { address: '192.0.2.5', jails: [] },
          { address: '192.0.2.7', jails: [] },
          { address: '198.51.100.1', jails: [], lists: ['/l:3: x, banned in sshd', '/m:1: y, ignored'] },
          { address: '198.51.100.2', jails: ['web'], lists: ['/l:4: y, banned in sshd'] },
        ],
      },
    ],
    `unbanned 192.0.2.1 to 192.0.2.2 (2 addresses) in sshd, web
unbanned 192.0.2.3 in sshd, web (only the kernel knew of it)
192.0.2.4 to 192.0.2.5 (2 addresses) were not banned
192.0.2.7 was not banned
198.51.100.1 is in a list: /l:3: x, banned in sshd; take it out there
198.51.100.1 is in a list: /m:1: y, ignored; take it out there
unbanned 198.51.100.2 in web
198.51.100.2 is in a list: /l:4: y, banned in sshd; take it out there
`,
  ],
  [
    'ignore',
    [
      { lifted: [{ address: '192.0.2.7', jail: 'sshd' }] },
      {
        ignored: [
          { address: '192.0.2.0/28', remainingSeconds: 61 },
          { address: '2001:db8::/32', remainingSeconds: -1 },
        ],
      },
    ],
    `ignored: 192.0.2.0/28 for 1m 1s
ignored: 2001:db8::/32 for ever
the ban of 192.0.2.7 in sshd has ended
`,
  ],
  ['unignore', [{ ignored: [] }], 'nothing is ignored by hand\n'],
  ['reload', [{ added: ['a', 'b'], changed: ['c'], removed: ['d'] }], 'reloaded: added a, b; changed c; removed d\n'],
  ['reload', [{ added: [], changed: [], removed: [] }], 'reloaded: no jail has changed\n'],
  ['set', [{ level: 'debug', more: { a: 1 } }], 'level:  debug\nmore:   {"a":1}\n'],
  ['list', [{ bans: [] }], 'no active bans\n'],
  [
    'list',
    [
      { bans: [] },
      {
        bans: [
          { jail: 'sshd', address: '192.0.2.1', remainingSeconds: 90, start: at, failures: 5, pattern: 'failed' },
          { jail: 'web', address: '2001:db8::/64', remainingSeconds: -1 },
        ],
      },
      {
        bans: [
          { jail: 'web', address: '192.0.2.2', remainingSeconds: 3_600, start: at, by },
          { jail: 'web', address: '192.0.2.3', remainingSeconds: 0, start: at, by, reason: 'a very long reason' },
        ],
      },
    ],
    `jail  address        since        until             left  of  why
sshd  192.0.2.1      11-21 00:15  11-21 01:16     1m 30s   5  failed
web   2001:db8::/64               never        permanent
web   192.0.2.2      11-21 00:15  11-21 02:15         1h      user 1000
web   192.0.2.3      11-21 00:15  11-21 01:15         0s      user 1000: a ver…
`,
  ],
];

test.each(answers)('%s', (verb, parts, text) => {
  const presenter = presenterOf(verb, false);
  expect(parts.map((part) => presenter.part(part as never)).join('') + presenter.end()).toBe(text);
  const json = presenterOf(verb, true);
  const got = JSON.parse(parts.map((part) => json.part(part as never)).join('') + json.end());
  // The lists of all parts one after the other; what each part repeats, once.
  const whole: Record<string, unknown> = {};
  for (const part of parts)
    for (const [name, value] of Object.entries(part)) {
      const isList = Array.isArray(value) && !['problems', 'hints', 'confined', 'lists'].includes(name);
      whole[name] = isList ? [...((whole[name] as unknown[]) ?? []), ...value] : value;
    }
  expect(got).toEqual(whole);
});

test.each([
  [-1, 'permanent'],
  [0, '0s'],
  [0.9, '0s'],
  [1, '1s'],
  [59, '59s'],
  [60, '1m'],
  [61, '1m 1s'],
  [3_599, '59m 59s'],
  [3_600, '1h'],
  [3_601, '1h'],
  [3_660, '1h 1m'],
  [86_399, '23h 59m'],
  [86_400, '1d'],
  [90_000, '1d 1h'],
  [86_460, '1d'],
  [172_861, '2d'],
])('%s seconds', (seconds, text) => expect(remaining(seconds)).toBe(text));

const line = { failures: 5, pattern: 'failed', file: '/log', offset: 77 };
const many = Array.from({ length: 12 }, (_, last) => `192.0.2.${last}`);

/** An event → its lines. */
const events: [event: Partial<Event> & Pick<Event, 'event'>, lines: string[]][] = [
  [
    { event: 'ban', jail: 'sshd', addresses: ['192.0.2.1'], until: now, seconds: 60, ...line },
    ['ban  sshd  192.0.2.1', '    until 2025-11-21 01:15:28', '    5 failures, failed at /log:77'],
  ],
  [
    { event: 'ban', jail: 'sshd', addresses: ['192.0.2.1'], until: -1, ...line, failures: 1 },
    ['ban  sshd  192.0.2.1', '    for ever', '    1 failure, failed at /log:77'],
  ],
  [{ event: 'restored', jail: 'sshd', addresses: ['192.0.2.1', '192.0.2.2'] }, ['restored  sshd  192.0.2.1 192.0.2.2']],
  [
    { event: 'ban', jail: 'sshd', addresses: many },
    [
      'ban  sshd  12 addresses',
      '    192.0.2.0 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6',
      '    192.0.2.7 192.0.2.8 192.0.2.9 192.0.2.10 192.0.2.11',
    ],
  ],
  [
    { event: 'unban', jail: 'web', addresses: ['192.0.2.1'], by, reason: 'mine' },
    ['unban  web  192.0.2.1', '    by user 1000 (process 7)', '    mine'],
  ],
  [{ event: 'expired', jail: 'web', addresses: ['192.0.2.1'] }, ['over  web  192.0.2.1']],
  [{ event: 'command', command: 'reload', by }, ['operator', '    by user 1000 (process 7)', '    reload']],
  [
    { event: 'refused', command: 'ban', jail: 'web', addresses: ['192.0.2.1'], reason: 'no', count: 3 },
    ['refused  web  192.0.2.1', '    no', '    ban', '    3 records'],
  ],
  [{ event: 'lost', count: 9 }, ['not kept', '    9 records']],
  [{ event: 'recovered', bytes: 4 }, ['an unfinished write is closed']],
  [{ event: 'missing', last: 4 }, ['records are missing: see fail2zig audit verify']],
];

test.each(events)('$event as text', (event, lines) => {
  const text = eventText({ number: 1, at, ...event });
  expect(text).toBe(`2025-11-21 00:15:28  ${lines.join('\n')}\n`);
});

describe('why', () => {
  const view: JailView = {
    jail: 'sshd',
    address: '192.0.2.7',
    filter: 'sshd:ddos',
    failures: [],
    ignored: false,
    kernel: false,
    maxretry: 5,
    findtime: 600,
    sources: ['/var/log/auth.log', 'the journal'],
  };
  const needs = '    a ban takes 5 failures in 10m\n';
  const reads = '    filter sshd:ddos; logs: /var/log/auth.log the journal\n';

  /** What a jail knows → its lines. */
  const views: [facts: Partial<JailView>, text: string][] = [
    [{}, `sshd: 192.0.2.7 is not banned\n${needs}${reads}`],
    [{ sources: [] }, `sshd: 192.0.2.7 is not banned\n${needs}    filter sshd:ddos; logs: none\n`],
    [
      { until: now + 60, kernel: true, kernelSeconds: 61 },
      `sshd: 192.0.2.7 is banned until 2025-11-21 01:16:28, held by the kernel for 1m 1s\n${needs}${reads}`,
    ],
    [{ until: -1 }, `sshd: 192.0.2.7 is banned for ever, NOT held by the kernel\n${needs}${reads}`],
    [
      { kernel: true, kernelSeconds: -1 },
      `sshd: 192.0.2.7 is not banned, held by the kernel for ever\n${needs}${reads}`,
    ],
    [
      { ignored: true, failures: [[now, 1]] },
      `sshd: 192.0.2.7 is not banned\n    ignored (a rule: ignoreip, or of this host)\n${needs}${reads}`,
    ],
    [{ ignored: true, ignoredBy: 'a list' }, `sshd: 192.0.2.7 is not banned\n    ignored (a list)\n${needs}${reads}`],
    [
      { ignored: true, ignoredBy: '192.0.2.0/28', ignoredSeconds: 60 },
      `sshd: 192.0.2.7 is not banned\n    ignored (192.0.2.0/28: by hand, for 1m)\n${needs}${reads}`,
    ],
    [
      {
        failures: [
          [now, 1],
          [now - 60, 2],
        ],
      },
      `sshd: 192.0.2.7 is not banned
    3 of 5 failures in 10m: 2025-11-21 01:14:28 (2), 2025-11-21 01:15:28; 2 more
    before 2025-11-21 01:24:28 would ban it
${reads}`,
    ],
    [{ failures: [[now, 9]], until: now + 1, kernel: true, kernelSeconds: 1 }, expect.stringContaining(needs)],
  ];

  test.each(views)('%j', (facts, text) => {
    const shown = presentWhy({ address: '192.0.2.7', config: '/c', views: [{ ...view, ...facts }], events: [] });
    expect(shown.split('\n\n')[0]).toEqual(typeof text === 'string' ? text.trimEnd() : expect.anything());
    if (typeof text !== 'string') expect(shown).toEqual(text);
  });

  test('of many failures the ends and the number between, and one more at least is missing', () => {
    const at = (count: number) =>
      presentWhy({
        address: '192.0.2.7',
        config: '/c',
        events: [],
        views: [{ ...view, failures: Array.from({ length: count }, (_, index) => [now - index, 2]) }],
      }).replaceAll(/\n {4}/g, ' ');
    expect(at(whyTimesMax)).not.toContain('more,');
    expect(at(whyTimesMax + 1)).toMatch(
      new RegExp(`: 2025-\\S+ \\S+ \\(2\\), ${2 * (whyTimesMax - 1)} more, 2025-11-21 01:15:28 \\(2\\); 1 more before`),
    );
  });
});

describe('top', () => {
  const frame: Frame = {
    status,
    stats: {
      'lines.total': 300,
      'lines.matched': 30,
      'failures.total': 12,
      'bans.total': 4,
      'evictions.total': 6,
      'bans.p50_seconds': 0.002,
      'bans.p99_seconds': 1,
    },
    before: { stats: { 'lines.total': 100, 'lines.matched': 20, 'failures.total': 4, 'bans.total': 2 }, seconds: 2 },
    recent: [
      { number: 1, at, event: 'ban', jail: 'sshd', addresses: ['192.0.2.7'] },
      { number: 2, at: now, event: 'unban', jail: 'web', addresses: many },
      { number: 3, at: now, event: 'command', command: 'reload' },
    ],
    sources: Array.from({ length: topRowsMax + 1 }, (_, index) => [`192.0.2.${index}`, 99 - index] as const),
  };
  const wide = (each: Frame) => draw(each, 200, 200);

  test('a screen, whole', () => {
    expect(wide(frame)).toEqual([
      'fail2zig 1.2.3  nftables  up 1d 2h  01:15:28 UTC  q: end',
      'lines 100.0/s  matched 5.0/s  failures 4.0/s  bans 1.0/s',
      'memory [################....] 50.0 MiB of 64.0 MiB',
      'banned now 2102  table 12 of 700000  evictions 6',
      'decision to kernel: half of the bans within 2 ms, 99 % within 1 s',
      'problem: one',
      'problem: two',
      '',
      'jail                    active    total   failures',
      'sshd                       101      103        105',
      'web                       2001     2003       2005',
      '',
      'most bans',
      ...frame.sources.slice(0, topRowsMax).map(([address, bans]) => `    ${bans}  ${address}`),
      '',
      'recent',
      '01:15:28  command                 reload',
      '01:15:28  unban     web           192.0.2.0 and 11 more',
      '00:15:28  ban       sshd          192.0.2.7',
    ]);
  });

  test('of a daemon that has just started', () => {
    const { before: _, ...first } = { ...frame, stats: {}, status: { ...status, problems: [] } };
    expect(wide(first).slice(1, 6)).toEqual([
      'lines -  matched -  failures -  bans -',
      'memory [################....] 50.0 MiB of 64.0 MiB',
      'banned now 2102  table 12 of 700000  evictions 0',
      'decision to kernel: half of the bans within -, 99 % within -',
      'no problems',
    ]);
  });

  test('is cut at both edges, and a bar has its length at most', () => {
    const memory = { ...status.memory, residentBytes: 2 * status.memory.ceilingBytes };
    const cut = draw({ ...frame, status: { ...status, memory } }, 31, 5);
    expect(cut).toHaveLength(5);
    expect(cut[2]).toBe(`memory [${'#'.repeat(20)}] 1`);
  });
});

describe('report', () => {
  const hour = 3_600;
  const from = now - reportBars * hour;
  const ban = (at: number, addresses: string[], failures?: number): Event => ({
    ...{ number: 1, at, event: 'ban', jail: addresses.length > 1 ? 'web' : 'sshd', addresses },
    ...(failures !== undefined && { failures }),
  });
  const make = (found: Event[]) =>
    gather([{ events: found }], status, { 'evictions.total': 3, 'drops.x': 4, 'events.y': 5, lines: 6 }, from, now);

  test('each ban is in the bar of its time and in the group of its failures', async () => {
    for (const [at, bar] of [
      [from - 1, 0],
      [from, 0],
      [from + hour - 1, 0],
      [from + hour, 1],
      [now - 1, reportBars - 1],
      [now, reportBars - 1],
    ] as const) {
      const { overTime } = await make([ban(at, ['192.0.2.1'])]);
      expect(overTime.map((count, place) => (count > 0 ? place : -1)).filter((place) => place >= 0)).toEqual([bar]);
    }
    for (const [failures, group] of [
      [1, '1'],
      [2, '2'],
      [3, '3'],
      [4, '4 to 5'],
      [5, '4 to 5'],
      [6, '6 to 10'],
      [10, '6 to 10'],
      [11, '11 to 20'],
      [21, '21 to 50'],
      [50, '21 to 50'],
      [51, '51 and more'],
    ] as const) {
      const { attempts } = await make([ban(from, ['192.0.2.1'], failures)]);
      expect(attempts, `${failures}`).toEqual([{ name: group, bans: 1 }]);
    }
  });

  test('what a record does not name is left empty, not guessed', async () => {
    const bare = { number: 1, at: from, event: 'ban' } as const;
    expect(await make([bare])).toMatchObject({ bans: 0, jails: [], sources: [], networks: [], attempts: [] });
    const { jails, attempts } = await make([{ ...bare, addresses: ['192.0.2.1'] }]);
    expect([jails, attempts]).toEqual([[{ name: '', bans: 1 }], []]);
    const frame = { status, stats: {}, recent: [bare], sources: [] };
    expect(draw(frame, 200, 200).at(-1)!.trimEnd()).toMatch(/ {2}ban$/);
  });

  test('sources and networks are the first ones only, those with the most bans', async () => {
    const found = Array.from({ length: reportRowsMax + 1 }, (_, net) =>
      Array.from({ length: net + 1 }, () => ban(from, [`198.18.${net}.1`])),
    ).flat();
    const { sources, networks, bans } = await make(found);
    expect(bans).toBe(found.length);
    expect(sources).toHaveLength(reportRowsMax);
    expect(networks).toHaveLength(reportRowsMax);
    expect(sources[0]).toEqual({ name: `198.18.${reportRowsMax}.1`, bans: reportRowsMax + 1 });
    expect(networks.at(-1)).toEqual({ name: '198.18.1.0/24', bans: 2 });
  });

  const some = () =>
    make([
      ban(from, ['192.0.2.1'], 5),
      ban(now - 1, ['192.0.2.1'], 5),
      ban(now - 1, ['2001:db8::/64', 'odd']),
      { number: 1, at: now, event: 'unban', addresses: ['192.0.2.1', '192.0.2.2'] },
      { number: 1, at: now, event: 'expired', addresses: ['192.0.2.1'] },
    ]);

  test('as text, whole', async () => {
    const bars = `▃${' '.repeat(reportBars - 2)}█`;
    expect(reportText(await some())).toBe(`2025-11-18 17:15 to 2025-11-21 01:15 (2d 8h, UTC)
bans 4, unbans 2, memory 50.0 MiB of 64.0 MiB
problem: one
problem: two

[${bars}] most: 3

By jail
  sshd  2
  web   2

Sources
  192.0.2.1      2
  2001:db8::/64  1
  odd            1

Networks
  192.0.2.0/24   2
  2001:db8::/48  1
  odd            1

Failures a ban
  4 to 5  2
`);
    expect(reportText(await make([]))).toContain('most: 0\n\nBy jail\n  none\n');
  });

  test('as a page: facts, bars, lists and figures', async () => {
    const page = reportHtml(await some());
    const facts = [...page.matchAll(/<dt>(.*?)<\/dt><dd>(.*?)<\/dd>/g)].map(([, name, value]) => `${name}: ${value}`);
    expect(facts).toEqual([
      'Bans: 4',
      'Unbans by hand: 2',
      'Sources shown: 3',
      'Memory: 50.0 MiB of 64.0 MiB',
      'Table: 12 of 700000',
      'Evictions: 3',
    ]);
    const rows = [...page.matchAll(/<tr><td>(.*?)<\/td><td>(.*?)<\/td><\/tr>/g)].map(([, name, value]) => [
      name,
      value,
    ]);
    expect(rows.slice(-3)).toEqual([
      ['evictions.total', '3'],
      ['drops.x', '4'],
      ['events.y', '5'],
    ]);
    expect(rows.slice(0, 2)).toEqual([
      ['sshd', '2'],
      ['web', '2'],
    ]);
    expect(page.match(/<h2>.*?<\/h2>/g)!.map((head) => head.slice(4, -5))).toEqual([
      ...['Bans over time', 'By jail', 'Sources', 'Networks', 'Failures a ban', 'Figures now'],
    ]);
    expect(page.match(/<p class="wrong">.*?<\/p>/g)).toEqual(['<p class="wrong">one</p>', '<p class="wrong">two</p>']);
    const heights = [...page.matchAll(/<rect x="(\d+)" y="(\d+)" width="9" height="(\d+)"><title>(.*?)<\/title>/g)];
    expect(heights.map(([, x]) => Number(x))).toEqual(heights.map((_, place) => 10 * place));
    expect([heights[0]!.slice(2), heights[1]!.slice(2), heights.at(-1)!.slice(2)]).toEqual([
      ['67', '33', '2025-11-18 17:15: 1'],
      ['100', '0', '2025-11-18 18:15: 0'],
      ['0', '100', '2025-11-21 00:15: 3'],
    ]);
    expect(page).toContain('aria-label="Bans over time, at most 3 in one bar"');
    expect(page).toContain('<p>2025-11-18 17:15 to 2025-11-21 01:15; the highest bar is 3 bans.</p>');
    expect(page).toContain("default-src 'none'; style-src 'unsafe-inline'");
    expect(reportHtml({ ...(await some()), problems: [] })).toContain('<p>No problems now.</p>');
  });
});
