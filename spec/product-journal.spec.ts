/**
 * The journal as a source, over files that a small writer creates in each form that journald has.
 * `npm run test:journal` uses a real journald.
 */
import assert from 'node:assert/strict';
import { renameSync, rmSync, truncateSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { Engine } from '../src/engine/host.ts';
import type { JournalSourceOptions } from '../src/sources/journal/journal.ts';
import type { JournalMatch } from '../src/types.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { type Driven, driveJournal } from '../test/support/journal-sink.ts';
import {
  type JournalForm,
  JournalWriter,
  journalIds,
  sshdEntry,
  type WrittenEntry,
} from '../test/support/journal-writer.ts';
import { claim, given, sabotaged, twin } from './claim.ts';

/** Follows the journals of a directory. */
type Follow = (directory: string, options: Partial<JournalSourceOptions>) => Driven;

const forms: readonly JournalForm[] = [
  {},
  { compact: true },
  { compress: 'zstd' },
  { compact: true, compress: 'zstd', sealed: true },
];
const rotations = 12;
const perFile = 150;

/** A writer that numbers its entries, through rotations, a vacuum and restarts of the reader. */
function numbersRead(follow: Follow): { taken: number[]; written: number; texts: string[] } {
  const directory = temporaryDirectory();
  try {
    const at = (name: string): string => join(directory.path, name);
    const taken: number[] = [];
    const texts: string[] = [];
    const ids = journalIds();
    let written = 0;
    let driven = follow(directory.path, { findtime: 3_600 });
    const read = (): void => {
      driven.read();
      const entries = driven.sink.taken.splice(0);
      taken.push(...entries.map(({ seqnum }) => seqnum));
      texts.push(...entries.map(({ text }) => text));
    };
    for (let turn = 0; turn < rotations; turn++) {
      const form = forms[turn % forms.length]!;
      const writer = new JournalWriter(at('system.journal'), form, { ...ids, fileId: journalIds().fileId });
      for (let n = 0; n < perFile; n++) {
        written++;
        const text = `number ${written}${written % 10 === 0 ? ' long'.repeat(300) : ''}`;
        writer.append(sshdEntry(written, Date.now() * 1000, text));
        if (n === 20 + turn * 7) read();
      }
      if (turn % 4 === 3) {
        const { source } = driven;
        driven = follow(directory.path, { findtime: 3_600, resume: source.cursors() });
        source.stop();
      }
      renameSync(writer.path, at(`system@${String(turn).padStart(2, '0')}.journal`));
      if (turn % 2 === 0) read();
      writer.archive();
      writer.close();
      if (turn === 9) for (const old of [0, 1, 2, 3, 4]) rmSync(at(`system@0${old}.journal`));
    }
    read();
    driven.source.stop();
    return { taken, written, texts };
  } finally {
    directory.remove();
  }
}

/** What a jail over the journal decides. */
async function decided(follow: Follow): Promise<string[]> {
  const directory = temporaryDirectory();
  try {
    const jail = { filter: 'sshd', mode: '', maxretry: 3, findtime: 600, bantime: 600, ipv6Prefix: 64, ignore: [] };
    const engine = await Engine.create({ jails: [jail], tableBytes: 1_000_000 });
    engine.openSource(3, engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]));
    const writer = new JournalWriter(join(directory.path, 'system.journal'));
    for (let n = 1; n <= 9; n++) {
      const text = `Failed password for root from 192.0.2.${n % 2} port 40 ssh2`;
      writer.append(sshdEntry(n, (Date.now() - (n % 2) * 3_600_000) * 1000, text));
    }
    const { source, read } = follow(directory.path, { sink: engine, findtime: 7_200 });
    read();
    source.stop();
    const bans: string[] = [];
    engine.takeDecisions(({ address, failures }) => void bans.push(`${address.bytes.slice(12).join('.')} ${failures}`));
    return bans;
  } finally {
    directory.remove();
  }
}

/** By source: a service, one of its programs, one program or another, and what services write. */
const asked: readonly [name: string, groups: JournalMatch['groups']][] = [
  ['unit', [{ terms: [['_SYSTEMD_UNIT', ['ssh.service']]] }]],
  [
    'both',
    [
      {
        terms: [
          ['_SYSTEMD_UNIT', ['ssh.service']],
          ['_COMM', ['sshd']],
        ],
      },
    ],
  ],
  ['any', [{ terms: [['_COMM', ['cron', 'su*']]] }]],
  ['system', [{ terms: [['SYSLOG_IDENTIFIER', ['sshd']]], system: true }]],
];
const shell: WrittenEntry['fields'] = [
  ['_COMM', 'logger'],
  ['SYSLOG_IDENTIFIER', 'sshd'],
  ['_SYSTEMD_OWNER_UID', '1000'],
];
const askedEntries: readonly [says: string, fields: WrittenEntry['fields'], fits: string[]][] = [
  [
    'sshd',
    [
      ['_SYSTEMD_UNIT', 'ssh.service'],
      ['_COMM', 'sshd'],
      ['SYSLOG_IDENTIFIER', 'sshd'],
    ],
    ['unit', 'both', 'system'],
  ],
  [
    'helper',
    [
      ['_SYSTEMD_UNIT', 'ssh.service'],
      ['_COMM', 'env'],
    ],
    ['unit'],
  ],
  [
    'elsewhere',
    [
      ['_SYSTEMD_UNIT', 'x.service'],
      ['_COMM', 'sshd'],
    ],
    [],
  ],
  ['sudo', [['_COMM', 'sudo']], ['any']],
  ['user', shell, []],
];

/** Which jails are given what, of entries with two messages each. */
function handedOver(follow: Follow): Record<string, string[]> {
  const directory = temporaryDirectory();
  try {
    const writer = new JournalWriter(join(directory.path, 'system.journal'));
    for (const [index, [says, fields]] of askedEntries.entries()) {
      const messages = ['one', 'two'].map((each): [string, string] => ['MESSAGE', `${says} ${each}`]);
      writer.append({ seqnum: index + 1, realtime: Date.now() * 1000, fields: [...fields, ...messages] });
    }
    const targets = asked.map(([name, groups], source) => ({ match: { text: name, groups }, source, name }));
    const { source, sink, read } = follow(directory.path, { targets });
    read();
    source.stop();
    const texts = (jail: number) =>
      sink.taken.filter((each) => each.source === jail).map(({ text }) => text.replace(/^.*?: /, ''));
    return Object.fromEntries(asked.map(([name], jail) => [name, texts(jail)]));
  } finally {
    directory.remove();
  }
}

/** A follower whose sources get other options, or another `read`. */
const spoiled =
  (spoil: (options: Partial<JournalSourceOptions>) => Partial<JournalSourceOptions>): Follow =>
  (directory, options) =>
    driveJournal(directory, spoil(options));

claim(
  'LP-18',
  given<Follow>(driveJournal),
  async (follow) => {
    const { taken, written, texts } = numbersRead(follow);
    assert.equal(new Set(taken).size, taken.length, 'an entry is read twice');
    assert.deepEqual(
      taken,
      Array.from({ length: written }, (_, n) => n + 1),
      'an entry is missing, or out of order',
    );
    for (const [index, text] of texts.entries()) {
      assert.ok(text.startsWith(`sshd[${1_001 + index}]: number ${index + 1}`), `entry ${index + 1} says ${text}`);
    }
    const fitting = (name: string) => askedEntries.filter(([, , fits]) => fits.includes(name)).map(([says]) => says);
    assert.deepEqual(
      handedOver(follow),
      Object.fromEntries(
        asked.map(([name]) => [name, fitting(name).flatMap((says) => [`${says} one`, `${says} two`])]),
      ),
      'what each jail is given',
    );
    // Those from an hour ago do not count.
    assert.deepEqual(await decided(follow), ['192.0.2.0 3'], 'who is banned');
    return `${written} entries in ${rotations} files (regular, compact, zstd, sealed), a vacuum and 3 restarts: each once, in order; ${askedEntries.length} with two messages to the jails that they fit; failures count at the time they were written`;
  },
  [
    sabotaged('an entry of the journal is fed to the first jail that it fits', /what each jail is given/),
    sabotaged('of an entry with two messages the first alone is read', /what each jail is given/),
    twin(
      'a source that forgets how far it read',
      given(spoiled((options) => ({ ...options, resume: [] }))),
      /an entry is read twice/,
    ),
    twin(
      'a source that begins where a file ends',
      given(spoiled((options) => ({ ...options, findtime: -1e6 }))),
      /an entry is missing/,
    ),
    twin(
      'a source that knows the position in its files, and not what other files hold',
      given(
        spoiled(({ resume, ...rest }) => ({ ...rest, resume: resume?.filter(({ kind }) => kind === 'file') ?? [] })),
      ),
      /an entry is read twice/,
    ),
  ],
);

const entries = 200;

/** Invalid files, and the message for each. */
const damages: readonly [string, (writer: JournalWriter) => void, RegExp][] = [
  ['cut', ({ path, places }) => truncateSync(path, places[20]! + 8), /fewer|ends within|damaged/],
  ['a chain of arrays that leads back', (writer) => writer.poke(176, 8n), /out of order/],
  ['a chain of arrays that goes nowhere', (writer) => writer.poke(176, 1n << 40n), /ends within its arrays/],
  ['a million entries', (writer) => writer.poke(152, 1_000_000n), /fewer entries than it says/],
  ['unknown features', (writer) => writer.poke(8, 0xffff_ffffn << 32n), /features/],
  ['no header', (writer) => writer.poke(0, 0n), /no journal file/],
  [
    'entries that are none',
    (writer) => writer.places.forEach((place) => void writer.poke(place, 0n)),
    /65 of its entries/,
  ],
  [
    'fields that stand nowhere',
    (writer) => writer.places.forEach((place) => void writer.poke(place + 64, 1n << 52n)),
    /65 of its entries/,
  ],
  [
    'objects larger than the file',
    (writer) => writer.places.forEach((place) => void writer.poke(place + 8, 1n << 45n)),
    /65 of its entries/,
  ],
];

/** Entries that lie among sound ones: an early number, one again, a field behind its entry. */
const lies: readonly [what: string, tell: (writer: JournalWriter) => void][] = [
  ['an earlier number', (writer) => writer.append(sshdEntry(3, Date.now() * 1000, 'lie'))],
  ['a number that was there', (writer) => writer.append(sshdEntry(10, Date.now() * 1000, 'lie'))],
  [
    'a field behind its entry',
    (writer) => {
      writer.append(sshdEntry(11, Date.now() * 1000, 'lie'));
      writer.append(sshdEntry(12, Date.now() * 1000, 'good 12'));
      const [place, behind] = writer.places.slice(-2) as [number, number];
      const field = writer.objects.filter((at) => at > place && at < behind)[0]!;
      for (let index = 0; index < 5; index++) writer.poke(place + 64 + index * 16, BigInt(field));
    },
  ],
];

function assertLiesPassed(follow: Follow): void {
  for (const [what, tell] of lies) {
    const directory = temporaryDirectory();
    try {
      const writer = new JournalWriter(join(directory.path, 'system.journal'));
      for (let n = 1; n <= 10; n++) writer.append(sshdEntry(n, Date.now() * 1000, `good ${n}`));
      tell(writer);
      writer.append(sshdEntry(13, Date.now() * 1000, 'good 13'));
      const { source, sink, read } = follow(directory.path, {});
      read();
      source.stop();
      assert.equal(source.counters.damaged, 1, `${what} is believed`);
      assert.equal(sink.taken.filter(({ text }) => text.includes('lie')).length, 0, `${what} is read`);
      assert.ok(sink.taken.at(-1)!.text.includes('good 13'), `what follows ${what} is not read`);
    } finally {
      directory.remove();
    }
  }
}

/** A file that is written over by another one while it is read. */
function assertAnother(follow: Follow): void {
  const directory = temporaryDirectory();
  try {
    const writer = new JournalWriter(join(directory.path, 'system.journal'));
    writer.append(sshdEntry(1, Date.now() * 1000, 'one'));
    const { source, read, events } = follow(directory.path, {});
    read();
    writer.become(journalIds().fileId);
    writer.append(sshdEntry(2, Date.now() * 1000, 'two'));
    read();
    source.stop();
    const said = events.filter(({ kind }) => kind === 'set aside').map(({ detail }) => detail);
    assert.deepEqual(said, ['it became another file'], 'a file that became another');
  } finally {
    directory.remove();
  }
}

claim(
  'X-journal',
  given<Follow>(driveJournal),
  (follow) => {
    assertLiesPassed(follow);
    for (const [what, damage, reason] of damages) {
      const directory = temporaryDirectory();
      try {
        const bad = new JournalWriter(join(directory.path, 'system@1.journal'));
        for (let n = 1; n <= entries; n++) bad.append(sshdEntry(n, Date.now() * 1000, `bad ${n}`));
        bad.archive();
        damage(bad);
        utimesSync(bad.path, 0, 0);
        const good = new JournalWriter(join(directory.path, 'system.journal'));
        for (let n = 1; n <= 10; n++) good.append(sshdEntry(n, Date.now() * 1000, `good ${n}`));
        const { source, read, sink, events } = follow(directory.path, {});
        for (let turn = 0; turn < 3; turn++) read();
        const said = events.filter(({ kind }) => kind === 'set aside').map(({ detail }) => detail);
        assert.equal(said.length, 1, `${what}: said ${said.length} times`);
        assert.match(said[0]!, reason, what);
        assert.match(source.problems().join(), /is set aside/, `${what}: status does not say so`);
        const isGood = ({ text }: { text: string }): boolean => text.includes('good');
        assert.equal(sink.taken.filter(isGood).length, 10, `${what}: the file beside it is not read`);
        assert.ok(source.counters.entries + source.counters.damaged <= entries + 10, `${what}: entries without end`);
        source.stop();
      } finally {
        directory.remove();
      }
    }
    assertAnother(follow);
    return `${lies.length} entries that lie passed over; ${damages.length} kinds of damage: each file set aside with its reason, said once and shown in status, the file beside it read`;
  },
  [
    twin(
      'a source that ends its turn at a damaged file',
      given<Follow>((directory, options) => {
        const driven = driveJournal(directory, {
          ...options,
          event: ({ kind }) => {
            if (kind === 'set aside') driven.source.pause();
          },
        });
        return { ...driven, events: [] };
      }),
      /said 0 times/,
    ),
    twin(
      'a source that keeps the reason to itself',
      given<Follow>((directory, options) => {
        const driven = driveJournal(directory, options);
        driven.source.problems = () => [];
        return driven;
      }),
      /status does not say so/,
    ),
    twin(
      'a source that says it at every look',
      given<Follow>((directory, options) => {
        const first = driveJournal(directory, options);
        const again = driveJournal(directory, options);
        const events = [...first.events];
        const read = (): void => {
          first.read();
          again.read();
          events.splice(0, events.length, ...first.events, ...again.events);
        };
        return { ...first, events, read };
      }),
      /said 2 times/,
    ),
  ],
);
