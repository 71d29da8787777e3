/**
 * The records of the real daemon, on nftables in a namespace of its own, and where they go: to a
 * real journald with fields, to syslog in the form of RFC 5424, and to the audit log. Started by
 * records.test.ts, one scenario per process.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { call } from '../../src/client/call.ts';
import { sealOf, sealPath } from '../../src/history/chain.ts';
import { eventOf } from '../../src/history/event.ts';
import { Journald, journalctl } from '../journal/journald.ts';
import { answerScenario } from '../support/namespace.ts';
import { FakeServiceManager } from '../support/service-manager.ts';
import { until } from '../support/until.ts';

/** Bytes that an attacker or an operator wrote, and that no reader of a log should see. */
const attacker = 'evil\u001b[31mname';
const reason = 'it was\nme \u001b[31m\u202e';
const plain = 'it was\\nme \\x1b[31m\\u{202e}';

class Host {
  readonly directory = mkdtempSync('/run/records-');
  readonly log = join(this.directory, 'auth.log');
  readonly state = join(this.directory, 'state', 'state');

  settings(extra = ''): string {
    writeFileSync(this.log, 'another line\n');
    return `[firewall]\nbackend = "nftables"\n[metrics]\nenabled = false\n[state]\npath = "${this.state}"\n${extra}
[jails.sshd]\nlogpath = "${this.log}"\nmaxretry = 3\nbantime = "1h"\nignoreip = "192.0.2.9"\n`;
  }

  fail(address: string): void {
    for (let pid = 1_000; pid < 1_003; pid++) {
      const line = `${new Date().toISOString()} host sshd[${pid}]: Failed password for ${attacker} from ${address} port 40022 ssh2\n`;
      appendFileSync(this.log, line);
    }
  }

  /** A ban from the log, one by hand, a refusal, and the end of a ban. */
  async day(daemon: Daemon): Promise<void> {
    this.fail('192.0.2.1');
    await until(async () => (await daemon.bans()).has('sshd 192.0.2.1'), { what: 'the ban' });
    const args = { jail: 'sshd', addresses: ['192.0.2.2', '192.0.2.9'], seconds: 60, reason };
    assert.ok((await call(daemon.socket, { verb: 'ban', args })).ok, 'the ban by hand');
    await daemon.unban('192.0.2.2');
    const set = await call(daemon.socket, { verb: 'set', args: { setting: 'loglevel', level: 'info' } });
    assert.ok(set.ok, `the log level: ${JSON.stringify(set)}`);
  }

  /** The events of the audit log. */
  events() {
    return readFileSync(`${this.state}.history`, 'latin1')
      .split('\n')
      .map(eventOf)
      .filter((event) => event !== undefined);
  }
}

type Entry = Record<string, string | string[]>;

/** Entries of the journal that have these fields. */
function entries(...matches: string[]): Entry[] {
  const found = journalctl('-o', 'json', '--all', ...matches);
  return found
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Entry);
}

/** The fields that are ours, with MESSAGE. */
const ours = (entry: Entry): Entry =>
  Object.fromEntries(Object.entries(entry).filter(([name]) => /^(FAIL2ZIG_|MESSAGE$|PRIORITY$|SYSLOG_ID)/.test(name)));

async function journald() {
  const journal = await Journald.start();
  const host = new Host();
  const daemon = await Daemon.start(host.directory, host.settings());
  await host.day(daemon);
  assert.equal(await daemon.stop(), 0, 'the stop');
  const of = (event: string): Entry[] => entries(`FAIL2ZIG_EVENT=${event}`).map(ours);
  await until(() => of('seal').length >= 2, { what: 'the seals in the journal' });
  const by = { FAIL2ZIG_UID: '0', FAIL2ZIG_PID: String(process.pid) };
  const [ban, manual] = entries('FAIL2ZIG_JAIL=sshd', 'FAIL2ZIG_EVENT=ban').map(ours);
  const until1 = Number(ban?.FAIL2ZIG_UNTIL);
  const lineLength = (readFileSync(host.log).length - 13) / 3;
  assert.deepEqual(
    ban,
    {
      MESSAGE: `banned jail=sshd address=192.0.2.1 until=${new Date(until1 * 1000).toISOString()}`,
      PRIORITY: '6',
      SYSLOG_IDENTIFIER: 'fail2zig',
      FAIL2ZIG_EVENT: 'ban',
      FAIL2ZIG_JAIL: 'sshd',
      FAIL2ZIG_ADDRESS: '192.0.2.1',
      FAIL2ZIG_UNTIL: String(until1),
      FAIL2ZIG_SECONDS: '3600',
      FAIL2ZIG_FAILURES: '3',
      FAIL2ZIG_PATTERN: 'failed',
      FAIL2ZIG_FILE: host.log,
      FAIL2ZIG_OFFSET: String(13 + 2 * lineLength),
    },
    'the record of a ban',
  );
  assert.ok(Math.abs(until1 - 3_600 - Date.now() / 1000) < 60, 'when it ends');
  assert.deepEqual(
    [
      manual?.FAIL2ZIG_ADDRESS,
      manual?.FAIL2ZIG_SECONDS,
      manual?.FAIL2ZIG_REASON,
      manual?.FAIL2ZIG_UID,
      manual?.FAIL2ZIG_PID,
    ],
    ['192.0.2.2', '60', plain, by.FAIL2ZIG_UID, by.FAIL2ZIG_PID],
    'the record of a ban by hand',
  );
  const [refused] = of('refused');
  assert.deepEqual(
    [refused?.FAIL2ZIG_ADDRESS, refused?.FAIL2ZIG_REASON, refused?.FAIL2ZIG_UID],
    ['192.0.2.9', '192.0.2.9 is in ignoreip of jail sshd', '0'],
    'the record of a refusal',
  );
  assert.deepEqual(
    of('unban').map((entry) => entry.FAIL2ZIG_ADDRESS),
    ['192.0.2.2'],
    'the record of an unban',
  );
  const commands = of('command').map((entry) => String(entry.FAIL2ZIG_COMMAND).split(' ', 1)[0]);
  assert.deepEqual(commands, ['ban', 'unban', 'set'], 'the records of commands');
  const seal = sealOf(readFileSync(sealPath(`${host.state}.history`), 'latin1'));
  const last = of('seal').at(-1);
  assert.deepEqual(
    [last?.FAIL2ZIG_NUMBER, last?.FAIL2ZIG_HASH],
    [String(seal?.number), seal?.head],
    'the last seal in the journal',
  );
  const all = entries('SYSLOG_IDENTIFIER=fail2zig').map((entry) => JSON.stringify(entry));
  assert.deepEqual(
    all.filter((text) => ['evil', '\\u001b', '\\u202e', '\u001b'].some((part) => text.includes(part))),
    [],
    'log text in the journal',
  );
  const events = host.events().length;
  assert.equal(all.length, events + of('seal').length, 'each record once');
  await journal.stop();
  return { events };
}

/** RFC 5424: priority, version, time, host, program, process, no kind, no structure, text. */
const form =
  /^<(2[4-9]|3[01])>1 [0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}\.[0-9]{3}Z - fail2zig ([0-9]+) - - ([ -~]+)$/;

async function syslog() {
  const path = '/run/log.sock';
  const host = new Host();
  const said: string[] = [];
  const hear = async (): Promise<FakeServiceManager> => {
    rmSync(path, { force: true });
    return FakeServiceManager.start(path);
  };
  let listener = await hear();
  const settings = `[log]\ntarget = "syslog"\nsocket = "${path}"\n`;
  const daemon = await Daemon.start(host.directory, host.settings(settings), undefined, async () => {
    await until(() => listener.told.some(({ text }) => text.includes(' started ')), {
      what: 'the start',
      withinMs: 60_000,
    });
  });
  const heard = (text: string) => listener.told.find((told) => told.text.includes(text));
  await host.day(daemon);
  await until(() => heard('setting=loglevel'), {
    what: 'a command',
  });
  for (const { text, pid } of listener.told) {
    const [, , , , number] = form.exec(text) ?? [];
    assert.ok(Number(number) === pid && pid === daemon.pid, `a line in the form of RFC 5424: ${JSON.stringify(text)}`);
    assert.ok(!text.includes('evil'), `log text: ${text}`);
    said.push(text.replace(/^.* - - /, ''));
  }
  assert.ok(heard('banned jail=sshd address=192.0.2.1 until='), 'a ban');
  assert.ok(heard(`reason="${plain}"`), `an operator's reason: ${said.join('\n')}`);
  assert.ok(heard('refused jail=sshd address=192.0.2.9'), 'a refusal');
  await until(() => heard('audit log sealed number='), { what: 'a seal' });
  // Syslog is started anew.
  await listener.stop();
  listener = await hear();
  await daemon.ban('sshd', '192.0.2.3', 60);
  await until(() => heard('address=192.0.2.3'), { what: 'a record for the new listener' });
  // It stops reading, and then it ends. The daemon does not wait for it, and lost lines are
  // counted.
  listener.pause();
  for (let index = 0; index < 40; index++) await daemon.ban('sshd', `198.51.100.${index}`, 60);
  await listener.stop();
  await daemon.ban('sshd', '192.0.2.4', 60);
  assert.ok((await daemon.bans()).has('sshd 192.0.2.4'), 'a ban while nobody hears');
  const stats = await daemon.stats();
  assert.ok(Number(stats['log.lost']) > 0, `lines that are lost are counted: ${stats['log.lost']}`);
  assert.equal(await daemon.stop(), 0, 'the stop');
  assert.deepEqual(daemon.said, [], 'standard error');
  return { lines: said.length, lost: stats['log.lost'] };
}

/**
 * A disk that is full for a while: what waits is written later, and what was lost is noted in the
 * chain.
 */
async function fullDisk() {
  const host = new Host();
  mkdirSync(join(host.directory, 'state'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', join(host.directory, 'state')]);
  const daemon = await Daemon.start(host.directory, host.settings());
  await host.day(daemon);
  const filling = join(host.directory, 'state', 'filling');
  writeFileSync(filling, '');
  assert.throws(() => {
    for (;;) appendFileSync(filling, 'x'.repeat(1_000));
  }, /ENOSPC/);
  let asked = 0;
  const fills = async (): Promise<boolean> => {
    const addresses = Array.from({ length: 250 }, () => `10.0.${asked >> 8}.${asked++ & 255}`);
    await call(daemon.socket, { verb: 'ban', args: { jail: 'sshd', addresses, seconds: 600 } });
    return (await daemon.stats())['events.lost'] !== 0;
  };
  await until(fills, { what: 'records that find no place', withinMs: 60_000 });
  const { problems } = await daemon.status();
  assert.match(problems.join('\n'), /records are not written: ENOSPC/, 'the problem in the status');
  rmSync(filling);
  await until(async () => !/not written/.test((await daemon.status()).problems.join()), { what: 'no problem' });
  const lost = Number((await daemon.stats())['events.lost']);
  await until(() => host.events().some(({ event }) => event === 'lost'), { what: 'the record of what was lost' });
  assert.equal(await daemon.stop(), 0, 'the stop');
  const counts = host.events().flatMap(({ event, count = 0 }) => (event === 'lost' ? [count] : []));
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    lost,
    'what the chain says of lost records',
  );
  const { status, stdout } = spawnSync('bin/fail2zig', ['audit', 'verify', '--log', `${host.state}.history`], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout);
  return { lost, verified: stdout.trim().split('\n').at(-1) };
}

await answerScenario(import.meta.filename, { journald, syslog, 'a full disk': fullDisk });
