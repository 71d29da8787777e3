/**
 * The runs that take minutes to hours, with the command of each and the claims that they support.
 * `npm run verify -- --full` makes them all; each is recorded by itself (record.ts).
 */

export interface LongRun {
  name: string;
  says: string;
  /** `npm run SCRIPT -- PARAMETERS --record`. */
  script: string;
  parameters: readonly string[];
  /** Claims whose evidence this run extends. */
  claims: readonly string[];
  /** About how long it takes on two cores. */
  minutes: number;
}

const soak = (sources: number, claims: readonly string[]): LongRun => ({
  name: `soak-${sources}`,
  says: `an hour of ${sources.toLocaleString('en-US')} attacking sources`,
  script: 'soak',
  parameters: ['--sources', String(sources), '--seconds', '3600'],
  claims,
  minutes: 62,
});

/** Rooms whose files are changed by `npm run mutation`. */
export const mutatedRooms: readonly string[] = [
  ...['engine', 'compiler', 'config', 'text', 'sources', 'backends', 'enforcer', 'state', 'control', 'lists', 'import'],
];

const mutation = (room: string): LongRun => ({
  name: `mutation-${room}`,
  says: `changes of src/${room}, one at a time, and whether its tests notice`,
  script: 'mutation',
  parameters: [room],
  claims: [],
  minutes: room === 'engine' ? 300 : room === 'compiler' ? 120 : 30,
});

export const longRuns: readonly LongRun[] = [
  {
    name: 'coverage',
    says: 'lines and branches that the tests and the processes of theirs pass',
    script: 'coverage',
    parameters: [],
    claims: [],
    minutes: 60,
  },
  ...mutatedRooms.map(mutation),
  {
    name: 'fuzz',
    says: 'every target of the fuzzer, eight hours together',
    script: 'fuzz',
    parameters: ['all', '--hours', '8'],
    claims: ['AU-1', 'E-01b', 'LP-41', 'PE-24'],
    minutes: 480,
  },
  {
    name: 'replay',
    says: 'the corpus, changed at random, through the engine that ships',
    script: 'fuzz',
    parameters: ['replay'],
    claims: ['D-02c', 'AU-1', 'E-01b'],
    minutes: 2,
  },
  {
    name: 'soak-200000',
    says: 'five minutes of 200,000 sources, with system calls outside the table written down',
    script: 'soak',
    parameters: ['--sources', '200000', '--seconds', '300', '--rate', '5000', '--seccomp', 'log'],
    claims: ['E-01c'],
    minutes: 6,
  },
  soak(50_000, ['MM-28', 'MM-01']),
  soak(1_000_000, ['MM-28', 'MM-01']),
  soak(10_000_000, ['MM-28', 'MM-01']),
  {
    name: 'killed',
    says: 'the daemon killed 200 times under a growing log',
    script: 'soak',
    parameters: ['killed'],
    claims: [],
    minutes: 10,
  },
  {
    name: 'rotate',
    says: '10,000 rotations of every kind',
    script: 'soak',
    parameters: ['rotate'],
    claims: [],
    minutes: 30,
  },
  {
    name: 'sabotage',
    says: 'every named breakage of the real files',
    script: 'sabotage',
    parameters: ['--all'],
    claims: [],
    minutes: 120,
  },
  {
    name: 'package',
    says: 'what a release consists of, installed',
    script: 'test:package',
    parameters: [],
    claims: [],
    minutes: 10,
  },
  {
    name: 'journal',
    says: 'the journal source beside a real journald',
    script: 'test:journal',
    parameters: [],
    claims: [],
    minutes: 5,
  },
  {
    name: 'browser',
    says: 'the page of what holds, in a real browser',
    script: 'test:browser',
    parameters: [],
    claims: [],
    minutes: 5,
  },
  {
    name: 'fleet',
    says: 'three hosts share bans over a real CrowdSec; local bans beside a server that fails',
    script: 'test:fleet',
    parameters: [],
    claims: [],
    minutes: 20,
  },
  {
    name: 'kernel',
    says: "Debian 12's kernel with our build as its root",
    script: 'test:kernel',
    parameters: [],
    claims: [],
    minutes: 10,
  },
];
