/**
 * Another configuration while the daemon runs: what is applied, what is refused, and what stays.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { claim, given, sabotaged, twin } from './claim.ts';
import { type Failure, logs, Reloading, sources } from './support/reloading.ts';

interface Case {
  old: string;
  next: string;
  before: Failure[];
  after: Failure[];
}

const seconds = (most: number) => fc.integer({ min: 60, max: most });
const jail = fc.record({
  log: fc.subarray([...logs], { minLength: 1 }),
  maxretry: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constantFrom(17, 20)),
  findtime: seconds(900),
  bantime: seconds(5_000),
  increment: fc.boolean(),
  ignored: fc.constantFrom('', '192.0.2.3', '198.51.100.0/24'),
  port: fc.constantFrom('22', '80,443'),
});
const names = ['a', 'b', 'c', 'd'];
const configuration = fc
  .uniqueArray(fc.record({ name: fc.constantFrom(...names), jail }), { minLength: 2, selector: ({ name }) => name })
  .map((rows) =>
    rows
      .map(({ name, jail: { log, maxretry, findtime, bantime, increment, ignored, port } }) =>
        [
          `[jails.${name}]`,
          'filter = "sshd"',
          'ignoreself = false',
          `logpath = ${JSON.stringify(log)}`,
          `maxretry = ${maxretry}`,
          `findtime = ${findtime}`,
          `bantime = ${bantime}`,
          `bantime_increment = ${increment}`,
          `ignoreip = "${ignored}"`,
          `port = "${port}"`,
          '',
        ].join('\n'),
      )
      .join('\n'),
  );
const failures = (from: number, until: number) =>
  fc
    .array(
      fc.record({
        log: fc.nat(logs.length - 1),
        source: fc.nat(sources.length - 1),
        at: fc.integer({ min: from, max: until }),
      }),
      { minLength: 20, maxLength: 60 },
    )
    .map((all) => all.sort((one, other) => one.at - other.at));
/** A table that is also laid out for long windows, so that most changes fit. */
const roomy = '\n[jails.roomy]\nfilter = "sshd"\nlogpath = "/var/log/none.log"\nmaxretry = 20\n';
const cases: fc.Arbitrary<Case> = fc.record({
  old: configuration.map((text) => text + roomy),
  next: configuration,
  before: failures(600, 1_000),
  after: failures(1_000, 1_400),
});

interface Course {
  /** The decisions after the change, and the bans at its end. */
  decided: string[];
  bans: string[];
}

const courseOf = (run: Reloading, from: number): Course => ({
  decided: run.decided.slice(from).sort(),
  bans: run.bans(),
});

async function byReload({ old, next, before, after }: Case): Promise<Course> {
  const run = await Reloading.start(old);
  run.feed(before);
  const from = run.decided.length;
  await run.reload(next);
  run.feed(after);
  return courseOf(run, from);
}

async function byStart({ old, next, before, after }: Case, withWindows = true): Promise<Course> {
  const run = await Reloading.start(old);
  run.feed(before);
  const started = await run.restart(next, { withWindows });
  started.feed(after);
  return courseOf(started, 0);
}

interface Piece {
  course(each: Case): Promise<Course>;
  /** A change that needs a restart, together with others: the message, and its effect. */
  refuse(run: Reloading, next: string): Promise<string>;
}

async function refused(run: Reloading, next: string): Promise<string> {
  try {
    await run.reload(next);
    return 'taken';
  } catch (error) {
    return (error as Error).message;
  }
}

const real: Piece = { course: byReload, refuse: refused };
const plain = `[jails.a]\nfilter = "sshd"\nlogpath = "${logs[0]}"\nignoreself = false\n`;
const changed = plain.replace('[jails.a]', '[jails.b]');
const needRestart: [reason: RegExp, next: string][] = [
  [/memory\.ceiling cannot change/, `[memory]\nceiling = "80MB"\n${changed}`],
  [/firewall\.backend cannot change/, `[firewall]\nbackend = "iptables"\n${changed}`],
  [/control\.socket cannot change/, `[control]\nsocket = "/run/other.sock"\n${changed}`],
  [/metrics\.port cannot change/, `[metrics]\nport = 9_999\n${changed}`],
  [/state\.interval cannot change/, `[state]\ninterval = "2s"\n${changed}`],
  [/log\.format cannot change/, `[log]\nformat = "json"\n${changed}`],
  [/confinement\.read cannot change/, `[confinement]\nread = ["/srv"]\n${changed}`],
  [/a maxretry above 6/, `${changed}maxretry = 9\n`],
  [/the first findtime above 65535 s/, `${changed}findtime = "1d"\n`],
  [/another ipv4_prefix/, `${plain}ipv4_prefix = 24\n`],
  [/another ipv6_prefix/, `${plain}ipv6_prefix = 56\n`],
  [/the first ipv6_prefix above 64/, `${changed}ipv6_prefix = 128\n`],
  [/17 jails are more than the 16/, Array.from({ length: 17 }, (_, at) => plain.replace('.a]', `.a${at}]`)).join('')],
  [/is the first that reads the journal/, '[jails.b]\nfilter = "sshd"\nsource = "journal"\n'],
];

const runs = Number(process.env.RELOAD_RUNS ?? 20);

claim(
  'X-reload',
  given(real),
  async ({ course, refuse }) => {
    const seed = Number(process.env.RELOAD_SEED ?? 16);
    let decisions = 0;
    for (const each of fc.sample(cases, { numRuns: runs, seed })) {
      const wanted = await byStart(each);
      decisions += wanted.decided.length;
      assert.deepEqual(await course(each), wanted, `a reload differs from a start:\n${JSON.stringify(each)}`);
    }
    assert.ok(decisions > runs, `${decisions} decisions after ${runs} changes say little`);
    const run = await Reloading.start(plain);
    run.feed([0, 0, 0, 0, 0, 1].map((source, at) => ({ log: 0, source, at })));
    const before = run.picture();
    for (const [reason, next] of needRestart) {
      assert.match(await refuse(run, next), reason, 'the reason was not said');
      assert.equal(run.picture(), before, 'a refused reload left something');
    }
    const said = await Promise.all([changed, plain].map((next) => refuse(run, next)));
    assert.equal(said[0], 'taken');
    assert.match(said[1]!, /another reload is in progress/, 'the second of two reloads at once');
    const named = await run.reload(`[log]\nlevel = "debug"\n${plain}`);
    assert.deepEqual(named, { added: ['a'], changed: [], removed: ['b'] }, 'jails that a reload names');
    assert.equal(run.level, 'debug', 'the log level behind a reload');
    return `${runs} reloads, ${decisions} bans decided after them as after a start; ${needRestart.length} refused`;
  },
  [
    twin('a reload that forgets windows', given<Piece>({ ...real, course: (each) => byStart(each, false) }), /differs/),
    twin(
      'a reload that takes what it may before it refuses the rest',
      given<Piece>({
        ...real,
        refuse: async (run, next) => {
          await refused(run, changed);
          return refused(run, next);
        },
      }),
      /left something|reason was not said/,
    ),
    twin('a refusal without its reason', given<Piece>({ ...real, refuse: async () => 'refused' }), /reason/),
    sabotaged('a reload does not touch what is never banned', /differs/),
    sabotaged('a reload leaves the log level as it was', /the log level behind a reload/),
  ],
  { timeoutMs: 60_000 + runs * 5_000 },
);

const policyText = (policy: string): string => `[memory]\neviction_policy = "${policy}"\n${plain}`;

claim(
  'MM-21',
  given(refused),
  async (reload) => {
    const policies = ['evict_oldest', 'ban_all', 'drop_unbanned', 'deny_new', 'log_and_drop'];
    let tried = 0;
    for (const now of policies) {
      const run = await Reloading.start(policyText(now));
      for (const then of policies.filter((policy) => policy !== now)) {
        const said = await reload(run, policyText(then));
        assert.match(
          said,
          /memory\.eviction_policy cannot change, since the table was made by it/,
          'no reason is said',
        );
        assert.match(said, /restart the daemon/, 'no remedy is said');
        assert.equal(run.engine.evictionPolicy, now, 'the policy changed');
        tried++;
      }
      assert.equal(await reload(run, policyText(now)), 'taken', 'the same policy is refused');
      assert.equal(
        (await run.restart(policyText('deny_new'))).engine.evictionPolicy,
        'deny_new',
        'a restart has no effect',
      );
    }
    return `${tried} changes of the policy refused with the reason; a restart brings them`;
  },
  [
    twin(
      'a reload that takes the policy',
      given(async (run: Reloading, next: string) => {
        const policy = /eviction_policy = "(.*)"/.exec(next)![1];
        Object.assign(run.engine, { evictionPolicy: policy });
        return 'taken';
      }),
      /no reason is said/,
    ),
    twin(
      'a refusal of everything',
      given(
        (async () =>
          'memory.eviction_policy cannot change, since the table was made by it: restart the daemon') as typeof refused,
      ),
      /the same policy is refused/,
    ),
  ],
);
