/**
 * Promises of single rooms that their tests prove: each twin is a named breakage that a test must
 * reject, and the body is those tests. All tests of a room speak for its claim by spec/tests.ts.
 */
import { claim } from './claim.ts';
import { assertTests, type Named, tested, testedTwin } from './support/tested.ts';

/** Each promise, and breakages with the file and the test that must reject each. */
const promises: [id: string, breakages: Record<string, [file: string, title: string]>][] = [
  [
    'X-shared',
    {
      'a batch in doubt is sent again unasked': [
        'unit/fleet-sender',
        'a batch that the server took, and whose answer was lost',
      ],
      'bans of the fleet are sent back to it': ['unit/fleet-sender', 'an unban ends our decision'],
      'the position in the spool is in the cache only': ['unit/fleet-spool', 'is on the disk, not only in its cache'],
    },
  ],
  [
    'X-received',
    {
      'our own decisions come back as bans': ['unit/fleet-receiver', ''],
      'a list that broke off ends bans': ['unit/fleet-receiver', ''],
    },
  ],
  [
    'X-records',
    {
      'what a full disk did not take of a record is forgotten': [
        'unit/audit',
        'a disk that takes a few bytes at a time',
      ],
      'everybody may read the audit log': ['unit/history', 'the group of the socket may read it'],
    },
  ],
  ['X-followed', { 'a log that was read and closed is new under another name': ['property/renames', ''] }],
  ['X-first-filter', { 'calls of the x32 interface pass': ['unit/confinement', 'those of other ABIs at once'] }],
  [
    'X-asked',
    {
      'an unban over which a jail goes lifts bans of the one in its place': ['unit/operator', 'names no jail wrongly'],
    },
  ],
  [
    'X-service',
    {
      'signs of life come when the watchdog has given up': [
        'unit/service',
        'three signs of life in the time of the watchdog',
      ],
    },
  ],
  ['X-alone', { 'two daemons may share a table': ['unit/sole', 'one has it until it lets go'] }],
  [
    'X-beside',
    {
      'nobody who changes the firewall is given way to': ['unit/pacer', 'transactions that leave short gaps'],
      'a message that claims more bytes than came is read': ['property/netlink', ''],
    },
  ],
  [
    'X-meant',
    {
      'a host name is taken for an address to ignore': ['unit/config-problems', 'ignoreip host'],
      'a zone west of UTC is read as one east of it': [
        'unit/log-clocks',
        'in the zone of its jail a log is by the clock',
      ],
    },
  ],
  ['X-room', { 'more bans are sent to the kernel than firewall.bans_max': ['unit/enforcer', 'no more than bansMax'] }],
  ['X-shown', { 'a label of the metrics may end early': ['unit/metrics', 'any label value and any help text'] }],
  ['X-kept', { 'a ban that was restored is counted as a new one': ['unit/saved-table', 'goes on after a restart'] }],
  [
    'X-compiled',
    {
      'attacker text may reach the address': ['unit/compiler-check', ''],
      'the usual end of a line holds words of the sample': ['unit/compiler-usual', ''],
    },
  ],
  ['X-repeated', { 'a repeat is charged to who failed at another host': ['unit/repeat-last', ''] }],
  ['X-headed', { 'blanks before a message are read over behind a colon only': ['unit/header', ''] }],
  ['X-entries', { 'an entry of the journal is fed to the first jail that it fits': ['unit/journal-source', ''] }],
  ['X-pages', { 'the same piece of the file pages is released again and again': ['unit/memory', ''] }],
  [
    'X-proof',
    {
      'a claim without a twin reads HELD': ['unit/ledger-verify', ''],
      'a long run that failed is recorded as one that ended well': ['unit/long-runs', ''],
    },
  ],
  ['X-installs', { 'FAIL2ZIG_PACKAGES=no installs packages all the same': ['unit/setup', ''] }],
];

for (const [id, breakages] of promises) {
  const rejections = Object.entries(breakages).map(([name, [file, title]]): [string, Named] => [
    name,
    [`test/${file}.test.ts`, title],
  ]);
  const [first, ...more] = rejections.map(([name, named]) => testedTwin(named, name));
  claim(id, tested(rejections.map(([, named]) => named)), assertTests, [first!, ...more], { timeoutMs: 600_000 });
}
