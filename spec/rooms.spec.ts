/**
 * Promises of single rooms that their tests prove: the claim runs the same tests, and each twin is
 * a named breakage that they must reject.
 */
import { claim } from './claim.ts';
import { assertTests, tested, testedTwin } from './support/tested.ts';

/** Each promise, the test files of its room, and breakages with a test that must reject each. */
const promises: [id: string, files: string[], breakages: Record<string, string>][] = [
  [
    'X-shared',
    ['test/unit/fleet-sender.test.ts', 'test/unit/fleet-spool.test.ts'],
    {
      'a batch in doubt is sent again unasked': 'a batch that the server took, and whose answer was lost',
      'bans of the fleet are sent back to it': '',
    },
  ],
  [
    'X-received',
    ['test/unit/fleet-receiver.test.ts', 'test/unit/fleet-stream.test.ts', 'test/unit/fleet-config.test.ts'],
    { 'our own decisions come back as bans': '', 'a list that broke off ends bans': '' },
  ],
  [
    'X-records',
    ['test/unit/audit.test.ts', 'test/unit/history.test.ts'],
    {
      'what a full disk did not take of a record is forgotten': 'a disk that takes a few bytes at a time',
      'everybody may read the audit log': 'the group of the socket may read it',
    },
  ],
  [
    'X-followed',
    [
      'test/unit/file-source.test.ts',
      'test/unit/followed-limit.test.ts',
      'test/unit/directories.test.ts',
      'test/property/renames.test.ts',
      'test/unit/routes.test.ts',
    ],
    { 'a log that was read and closed is new under another name': '' },
  ],
  [
    'X-first-filter',
    ['test/unit/confinement.test.ts'],
    { 'calls of the x32 interface pass': 'those of other ABIs at once' },
  ],
  [
    'X-asked',
    ['test/unit/operator.test.ts'],
    { 'an unban over which a jail goes lifts bans of the one in its place': 'names no jail wrongly' },
  ],
  [
    'X-service',
    ['test/unit/service.test.ts'],
    { 'signs of life come when the watchdog has given up': 'three signs of life in the time of the watchdog' },
  ],
  [
    'X-alone',
    ['test/unit/sole.test.ts', 'test/unit/control-server.test.ts'],
    { 'two daemons may share a table': 'one has it until it lets go' },
  ],
  [
    'X-beside',
    ['test/unit/pacer.test.ts', 'test/property/netlink.test.ts'],
    {
      'nobody who changes the firewall is given way to': 'transactions that leave short gaps',
      'a message that claims more bytes than came is read': '',
    },
  ],
  [
    'X-meant',
    ['test/unit/config-problems.test.ts', 'test/unit/log-clocks.test.ts', 'test/unit/address.test.ts'],
    {
      'a host name is taken for an address to ignore': 'ignoreip host',
      'a zone west of UTC is read as one east of it': 'in the zone of its jail a log is by the clock',
    },
  ],
  [
    'X-room',
    ['test/unit/room.test.ts', 'test/unit/enforcer.test.ts'],
    { 'more bans are sent to the kernel than firewall.bans_max': 'no more than bansMax' },
  ],
  [
    'X-shown',
    ['test/unit/client.test.ts', 'test/unit/metrics.test.ts', 'test/unit/figures.test.ts'],
    { 'a label of the metrics may end early': 'any label value and any help text' },
  ],
  [
    'X-kept',
    ['test/unit/saved-table.test.ts', 'test/unit/state-keeper.test.ts'],
    { 'a ban that was restored is counted as a new one': 'goes on after a restart' },
  ],
  [
    'X-compiled',
    ['test/unit/compiler-usual.test.ts', 'test/unit/compiler-check.test.ts'],
    { 'attacker text may reach the address': '', 'the usual end of a line holds words of the sample': '' },
  ],
  ['X-repeated', ['test/unit/repeat-last.test.ts'], { 'a repeat is charged to who failed at another host': '' }],
  ['X-headed', ['test/unit/header.test.ts'], { 'blanks before a message are read over behind a colon only': '' }],
  [
    'X-entries',
    ['test/unit/journal-source.test.ts', 'test/unit/journal-entries.test.ts'],
    { 'an entry of the journal is fed to the first jail that it fits': '' },
  ],
  ['X-pages', ['test/unit/memory.test.ts'], { 'the same piece of the file pages is released again and again': '' }],
  [
    'X-proof',
    [
      'test/unit/ledger.test.ts',
      'test/unit/ledger-claim.test.ts',
      'test/unit/ledger-verify.test.ts',
      'test/unit/ledger-sabotage.test.ts',
      'test/unit/long-runs.test.ts',
    ],
    { 'a claim without a twin reads HELD': '', 'a long run that failed is recorded as one that ended well': '' },
  ],
  ['X-installs', ['test/unit/setup.test.ts'], { 'FAIL2ZIG_PACKAGES=no installs packages all the same': '' }],
];

for (const [id, files, breakages] of promises) {
  const [first, ...more] = Object.entries(breakages).map(([name, title]) => testedTwin(files, name, title));
  claim(id, tested(files), assertTests, [first!, ...more], { timeoutMs: 600_000 });
}
