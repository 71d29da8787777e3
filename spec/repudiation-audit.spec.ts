/**
 * Repudiation: records that journald gets too, and a log in which no change stays hidden.
 */
import assert from 'node:assert/strict';
import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileAt, sealPath } from '../src/history/chain.ts';
import { Recorder } from '../src/history/recorder.ts';
import { Telling } from '../src/history/telling.ts';
import { native } from '../src/native.ts';
import { verifyLog, writeAudited } from '../test/support/audit.ts';
import { check, type Files, kinds } from '../test/support/audit-edits.ts';
import { collect } from '../test/support/collect.ts';
import { rememberingLog, temporaryDirectory } from '../test/support/control.ts';
import { FakeServiceManager } from '../test/support/service-manager.ts';
import { addressOf, v4 } from '../test/support/table-driver.ts';
import { until } from '../test/support/until.ts';
import { claim, given, sabotaged, twin } from './claim.ts';
import { watched } from './support/watched.ts';

/** Fields of an entry in journald's own form: a line each. */
const fieldsOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/=(.*)/s, 2) as [string, string]),
  );

/** Bytes that an operator put into a reason, and how they are shown. */
const reason = 'mine\nPRIORITY=0\u001b[2J';
const shown = 'mine\\nPRIORITY=0\\x1b[2J';

/**
 * A ban of the log and its end, one by an operator, a refusal, a command; the entries for journald.
 */
async function entriesOf(make: (journal: number) => Recorder): Promise<Record<string, string>[]> {
  const directory = temporaryDirectory();
  const path = join(directory.path, 'socket');
  const journald = await FakeServiceManager.start(path);
  const socket = native.datagramTo(path);
  const recorder = make(socket);
  try {
    const jails = [{ name: 'sshd', filter: 'sshd' }] as never;
    const engine = { patternName: () => 'failed', eachBan: () => -1 };
    const log = rememberingLog();
    const telling = new Telling({ recorder, log, jails, engine, pathOf: () => '/var/log/auth.log' });
    const address = addressOf(v4('192.0.2.1'));
    const decision = {
      jail: 0,
      address,
      time: 1,
      failures: 5,
      seconds: 60,
      bans: 1,
      source: 3,
      offset: 77,
      pattern: 2,
    };
    telling.decided(decision);
    const ban = { index: 0, jail: 0, address, end: 61, confirmed: true, restored: false, manual: false, bans: 1 };
    telling.tell('ban', ban);
    telling.tell('expired', ban);
    const by = { uid: 1000, pid: 7 };
    recorder.bans('unban', 'sshd', [{ address: '192.0.2.2' }, { address: '192.0.2.3' }], { by, reason });
    recorder.refused('for root only', { command: 'set', by });
    recorder.command('set loglevel debug', { uid: 0, pid: 8 });
    await until(() => journald.told.length >= 6, { what: 'six entries', withinMs: 5_000 }).catch(() => {});
    return journald.told.map(({ text }) => fieldsOf(text));
  } finally {
    await recorder.close();
    closeSync(socket);
    await journald.stop();
    directory.remove();
  }
}

type Make = (journal: number) => Recorder;

const recorderOf = (journal: number | undefined) => new Recorder({ path: undefined, log: rememberingLog(), journal });

/** What an operator bans and unbans, as the daemon's own log says it. */
async function saidByHand(): Promise<string[]> {
  const supply = watched();
  const made = await supply.make();
  try {
    const { log, operator } = made;
    const by = { uid: 1000, gid: 1000, pid: 7 };
    await operator.ban({ jail: 'sshd', addresses: ['192.0.2.7'], seconds: 90, reason: 'mine' }, by);
    await collect(operator.unban({ addresses: ['192.0.2.7'] }, by));
    await assert.rejects(async () => operator.ban({ jail: 'sshd', addresses: ['224.0.0.1'] }, by));
    const about = log.said.filter(({ fields }) => fields.uid !== undefined);
    return about.map(({ text, fields: { jail, address, uid, reason } }) =>
      [text, jail, address, uid, reason].join(' '),
    );
  } finally {
    await supply.dispose?.(made);
  }
}

claim(
  'R-01a',
  given<Make>(recorderOf),
  async (make) => {
    assert.deepEqual(
      await saidByHand(),
      [
        'banned sshd 192.0.2.7 1000 mine',
        'unbanned sshd 192.0.2.7 1000 ',
        'refused sshd 224.0.0.1 1000 224.0.0.1 is a multicast address: nothing comes from it',
      ],
      'what an operator did',
    );
    const found = await entriesOf(make);
    assert.equal(found.length, 6, 'entries');
    const [ban, over, ...others] = found;
    const common = { PRIORITY: '6', SYSLOG_IDENTIFIER: 'fail2zig', FAIL2ZIG_JAIL: 'sshd' };
    assert.deepEqual(
      ban,
      {
        ...common,
        MESSAGE: 'banned jail=sshd address=192.0.2.1 until=1970-01-01T00:01:01.000Z',
        FAIL2ZIG_EVENT: 'ban',
        FAIL2ZIG_ADDRESS: '192.0.2.1',
        FAIL2ZIG_UNTIL: '61',
        FAIL2ZIG_SECONDS: '60',
        FAIL2ZIG_FAILURES: '5',
        FAIL2ZIG_PATTERN: 'failed',
        FAIL2ZIG_FILE: '/var/log/auth.log',
        FAIL2ZIG_OFFSET: '77',
      },
      'a ban with its line, failures, length and end',
    );
    assert.equal(over!.FAIL2ZIG_EVENT, 'expired', 'its end');
    for (const unban of others.slice(0, 2)) {
      const { FAIL2ZIG_EVENT: event, FAIL2ZIG_UID: uid, FAIL2ZIG_PID: pid, FAIL2ZIG_REASON: why, PRIORITY } = unban;
      assert.deepEqual([event, uid, pid, why, PRIORITY], ['unban', '1000', '7', shown, '6'], 'who unbanned, and why');
    }
    assert.deepEqual(
      others.slice(2).map((each) => [each.FAIL2ZIG_EVENT, each.FAIL2ZIG_COMMAND, each.FAIL2ZIG_UID]),
      [
        ['refused', 'set', '1000'],
        ['command', 'set loglevel debug', '0'],
      ],
      'a refusal and a command',
    );
    return 'six records as datagrams of journald, with 11 fields for a ban; a reason with a line feed stays one field';
  },
  [
    twin(
      'a daemon that tells journald nothing',
      given<Make>(() => recorderOf(undefined)),
      /^entries/,
    ),
    twin(
      'a record without where the line stands',
      given<Make>((journal) => {
        const made = recorderOf(journal);
        const { bans } = Recorder.prototype;
        made.bans = (event, jail, told, asked) =>
          bans.call(
            made,
            event,
            jail,
            told.map(({ address }) => ({ address })),
            asked,
          );
        return made;
      }),
      /^a ban with its line/,
    ),
    twin(
      'a record that does not say who asked',
      given<Make>((journal) => {
        const made = recorderOf(journal);
        const { bans } = Recorder.prototype;
        made.bans = (event, jail, told) => bans.call(made, event, jail, told);
        return made;
      }),
      /^who unbanned/,
    ),
  ],
  { needs: ['linux'], timeoutMs: 60_000 },
);

const byRoot = { uid: 0, pid: 7 };

async function opened(path: string, bytes: number): Promise<Recorder> {
  const recorder = new Recorder({ path, log: rememberingLog(), bytes });
  await recorder.start();
  return recorder;
}

async function writeRecords(recorder: Recorder, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    recorder.command(`number ${index}`, byRoot);
    await recorder.flush();
  }
}

/** A log whose oldest files go while it is written is whole at any time. */
async function assertRotates(path: string, verify: typeof verifyLog): Promise<void> {
  const recorder = await opened(path, 20_000);
  for (let round = 0; round < 6; round++) {
    await writeRecords(recorder, 60);
    assert.deepEqual((await verify(path)).findings, [], 'a log of which the oldest files went');
  }
  assert.ok((await verify(path)).first > 60, 'no file went');
  await recorder.close();
}

/** What is done to files while a log is written and sealed, in order. */
async function assertSealedOnDisk(path: string): Promise<void> {
  const other = await open(`${path}.other`, 'w');
  const handles = Object.getPrototypeOf(other) as FileHandle;
  await other.close();
  const { write, sync } = handles;
  const told: string[] = [];
  type Call = (this: FileHandle, ...parameters: unknown[]) => Promise<unknown>;
  const telling = (name: (first: unknown) => string, real: unknown): Call =>
    function (...parameters) {
      told.push(name(parameters[0]));
      return (real as Call).apply(this, parameters);
    };
  Object.assign(handles, {
    // The seal is written as a text, records as bytes.
    write: telling((first) => (typeof first === 'string' ? 'seal' : 'records'), write),
    sync: telling(() => 'sync', sync),
  });
  try {
    const recorder = await opened(path, 1_000_000);
    await writeRecords(recorder, 3);
    await recorder.close();
  } finally {
    Object.assign(handles, { write, sync });
  }
  assert.ok(told.lastIndexOf('seal') > told.lastIndexOf('records'), 'the log is not sealed at its end');
  assert.equal(told[told.lastIndexOf('seal') - 1], 'sync', 'what is done before the seal is written');
}

/** So is one that a crash left with more records than its seal knows. */
async function assertGoesOn(path: string, verify: typeof verifyLog): Promise<void> {
  const recorder = await opened(path, 1_000_000);
  const sealed = readFileSync(sealPath(path));
  await writeRecords(recorder, 5);
  await recorder.close();
  writeFileSync(sealPath(path), sealed);
  const next = await opened(path, 1_000_000);
  await writeRecords(next, 5);
  await next.close();
  const { findings, last } = await verify(path);
  assert.deepEqual([findings, last], [[], 10], 'a log that goes on behind its seal');
}

/** How a log is verified: by the command, and in memory. */
interface Verifier {
  verify: typeof verifyLog;
  check: (files: Files) => { findings: readonly unknown[] };
}

const verifier: Verifier = { verify: verifyLog, check };
claim(
  'R-01d',
  given(verifier),
  async ({ verify, check: found }) => {
    const directory = temporaryDirectory();
    try {
      const path = join(directory.path, 'log');
      const files = await writeAudited(path);
      const { whole, records, unsealed } = await verify(path);
      assert.ok(whole && records > 40 && unsealed === 0, 'a log that nobody touched is whole');
      const older = fileAt(path, 1);
      const [lines, last] = [older, path].map((file) => readFileSync(file, 'latin1').split('\n')) as [
        string[],
        string[],
      ];
      const nobody = '{"number":3,"at":1,"event":"unban","addresses":["192.0.2.7"]}';
      const changes: [string, string, string[]][] = [
        ['a record that was changed', older, lines.with(1, lines[1]!.replace('"at":1', '"at":2'))],
        ['a record that was left out', older, lines.toSpliced(2, 1)],
        ['records in another order', older, lines.with(1, lines[2]!).with(2, lines[1]!)],
        ['a record of nobody', older, lines.toSpliced(2, 0, nobody)],
        ['an end that was cut off', path, [...last.slice(0, -2), '']],
      ];
      for (const [what, file, changed] of changes) {
        const whole = readFileSync(file);
        writeFileSync(file, changed.join('\n'), 'latin1');
        assert.equal((await verify(path)).whole, false, what);
        writeFileSync(file, whole);
      }
      let edits = 0;
      for (const [kind, edit] of Object.entries(kinds)) {
        for (let at = 0; at < 60; at++) {
          const edited = edit(files, at * 7_919 + 13, at * 104_729 + 1, '{"number":9}');
          if (edited.every((each, index) => each === files[index]!)) continue;
          // A crash may leave text after the last line, if it is not a record.
          if (edited.every((each, index) => each.startsWith(files[index]!))) continue;
          assert.ok(found(edited).findings.length > 0, `${kind}: edit ${at} was not found`);
          edits++;
        }
      }
      await assertRotates(join(directory.path, 'rotated'), verify);
      await assertSealedOnDisk(join(directory.path, 'sealed'));
      await assertGoesOn(join(directory.path, 'more'), verify);
      return `a log of ${files.length - 1} files: 5 changes by hand and ${edits} edits of 13 kinds found, none in the log itself`;
    } finally {
      directory.remove();
    }
  },
  [
    sabotaged('the verifier does not ask the seal where the log ends', /^an end that was cut off/),
    sabotaged('the verifier compares no hash of a line', /^a record that was changed/),
    sabotaged('old files of the audit log go before the seal says so', /the oldest files went/),
    sabotaged('numbers of records begin again behind the seal', /a log that goes on behind its seal/),
    twin(
      'a verifier that finds something everywhere',
      given<Verifier>({ ...verifier, verify: async (path: string) => ({ ...(await verifyLog(path)), whole: false }) }),
      /^a log that nobody touched/,
    ),
  ],
  { timeoutMs: 120_000 },
);
