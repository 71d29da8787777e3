/**
 * Our own promises about lines and logs: wrapped lines, time zones, how attempts are counted, which
 * files are opened, and who may run a second daemon.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, fstatSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseTimezone } from '../src/config/timezone.ts';
import { JAIL_FAILURES } from '../src/engine/counters.ts';
import { Engine } from '../src/engine/host.ts';
import { offLinesMin } from '../src/limits.ts';
import { LogClocks } from '../src/observe/log-clocks.ts';
import { takeLock } from '../src/sole.ts';
import { FileSource } from '../src/sources/file.ts';
import { formatAddress } from '../src/text/address.ts';
import type { LineFormat, ZoneChange } from '../src/types.ts';
import { rememberingLog, temporaryDirectory } from '../test/support/control.ts';
import { claim, given, sabotaged, twin } from './claim.ts';

const now = Date.UTC(2026, 10, 21, 9) / 1000;

interface Settings {
  filter: string;
  format?: LineFormat;
  message?: string;
  timezone?: ZoneChange[];
  maxretry?: number;
  findtime?: number;
}

/** An engine with one jail and one log, in which `text` was written. */
async function engineAfter(settings: Settings, text: string, at = now): Promise<Engine> {
  const jail = { mode: '', maxretry: 1, findtime: 86_400, bantime: 600, ipv6Prefix: 128, ignore: [], ...settings };
  const engine = await Engine.create({ build: 'wasm', jails: [jail], tableBytes: 65_536, now: at, seed: [1, 2] });
  engine.openSource(0, engine.addRoute([{ index: 0, filter: jail.filter, mode: '' }]));
  engine.feed(0, Buffer.from(text).copy(engine.buffer), 0, at, true);
  engine.settleAttempts(at, true);
  return engine;
}

type Bans = (settings: Settings, text: string) => Promise<string[]>;

const bans: Bans = async (settings, text) => {
  const found: string[] = [];
  (await engineAfter(settings, text)).takeDecisions(({ address }) => found.push(formatAddress(address)));
  return found.sort();
};

const sender = '192.0.2.7';
const refused = (address: string, user: string): string =>
  `[2026-11-21 08:59:59.129][vaultwarden::api::identity][ERROR] Username or password is incorrect. Try again. IP: ${address}. Username: ${user}.`;
/** A name that a client chooses to imitate a line or an entry of another. */
const imitation = `x\n${refused('203.0.113.66', 'x')}","stream":"stdout","time":"2026-11-21T08:59:59Z"}\n{"log":"y`;
const time = '2026-11-21T08:59:59.123456789Z';
const vaultwarden = { filter: 'vaultwarden' };
const json: Settings = { ...vaultwarden, format: 'json', message: 'msg' };
const docker = (log: string): string => JSON.stringify({ log: `${log}\n`, stream: 'stdout', time });
const sshd = 'Failed password for root from 192.0.2.7 port 40022 ssh2';

const wrapped: [what: string, settings: Settings, text: string, banned: string[]][] = [
  ["Docker's entry", vaultwarden, docker(refused(sender, 'alice')), [sender]],
  ["Docker's entry with an imitation in it", vaultwarden, docker(refused(sender, imitation)), [sender]],
  ['CRI', vaultwarden, `${time} stdout F ${refused(sender, 'alice')}`, [sender]],
  [
    'CRI in two pieces',
    vaultwarden,
    `${time} stdout P ${refused(sender, 'alice').slice(0, 60)}\n${time} stdout F ${refused(sender, 'alice').slice(60)}`,
    [sender],
  ],
  [
    'CRI in pieces of two streams by turns',
    vaultwarden,
    [sender, '192.0.2.8']
      .map((address) => refused(address, 'alice'))
      .flatMap((line, stream) =>
        [`P ${line.slice(0, 60)}`, `F ${line.slice(60)}`].map((part, at) => ({ at, stream, part })),
      )
      .sort((one, other) => one.at - other.at)
      .map(({ stream, part }) => `${time} ${stream === 0 ? 'stdout' : 'stderr'} ${part}`)
      .join('\n'),
    [sender, '192.0.2.8'],
  ],
  ['a JSON object', json, JSON.stringify({ level: 'error', msg: refused(sender, 'alice') }), [sender]],
  ['a line feed in a JSON string', json, JSON.stringify({ msg: refused(sender, imitation) }), [sender]],
  ['a key that comes twice', json, `{"msg":"${refused(sender, 'a')}","msg":"${refused('203.0.113.66', 'a')}"}`, []],
  ['svlogd', { filter: 'sshd' }, `2026-11-21_08:59:59.12345 ${sshd}`, [sender]],
  ['s6-log', { filter: 'sshd' }, `2026-11-21 08:59:59.123456789  ${sshd}`, [sender]],
  ['multilog', { filter: 'sshd' }, `@400000006b015d891dcd6500 sshd: ${sshd}`, [sender]],
  ['RFC 5424', { filter: 'sshd' }, `<38>1 ${time} host sshd 7 - [x y="]"] \ufeff${sshd}`, [sender]],
  ['journalctl in German', { filter: 'sshd' }, `Sa 2026-11-21 08:59:59 UTC host sshd[7]: ${sshd}`, [sender]],
];

claim(
  'X-wrapped',
  given(bans),
  async (banned) => {
    for (const [what, settings, text, expected] of wrapped)
      assert.deepEqual(await banned(settings, `${text}\n`), expected, `bans after ${what}`);
    return `${wrapped.length} forms: the sender is banned, and nobody whom its text names`;
  },
  [
    sabotaged("Docker's entry is read as it stands", /bans after Docker's entry/),
    twin(
      'a reader that unescapes a text and then looks for its lines',
      given<Bans>((settings, text) => bans({ filter: settings.filter }, text.replaceAll('\\n', '\n'))),
      /bans after Docker's entry/,
    ),
    sabotaged('of a key that comes twice the last one is read', /bans after a key that comes twice/),
  ],
);

/** How zones are read, and what is reported about a log with wrong times. */
interface Zones {
  zoneOf: (name: string) => ZoneChange[];
  problemsOf: (engine: Engine) => string[];
}

const path = '/var/log/auth.log';
const ourZones: Zones = {
  zoneOf(name) {
    const parsed = parseTimezone(name, now);
    assert.ok(parsed.ok, `no zone ${name}`);
    return parsed.value;
  },
  problemsOf(engine) {
    const files = { status: () => [{ path, source: 0, state: 'reading', offset: 0, detail: '' }] };
    const clocks = new LogClocks({ engine, files: files as unknown as FileSource, log: rememberingLog() });
    clocks.look();
    return clocks.problems();
  },
};
const zones: [name: string, offset: number, told: string][] = [
  ['Asia/Kathmandu', 20_700, '5:45 h ahead of'],
  ['+02:00', 7_200, '2 h ahead of'],
  ['-0330', -12_600, '3:30 h behind'],
  ['America/New_York', -18_000, '5 h behind'],
];

/** The hour that happens twice in Berlin, each time as the clock of its line. */
async function assertTwice(): Promise<void> {
  for (const hour of [0, 1]) {
    const at = Date.UTC(2026, 9, 25, hour, 30) / 1000;
    const parsed = parseTimezone('Europe/Berlin', at);
    assert.ok(parsed.ok, 'no zone of Berlin');
    const settings = { filter: 'sshd', findtime: 600, timezone: parsed.value };
    const engine = await engineAfter(settings, `2026-10-25 02:29:58 host sshd[70]: ${sshd}\n`, at);
    assert.equal(engine.waiting, 1, `bans after half past two, the ${hour + 1}. time`);
  }
}

claim(
  'X-zones',
  given(ourZones),
  async ({ zoneOf, problemsOf }) => {
    for (const [zone, offset] of [
      ['-05:00', -18_000],
      ['+0545', 20_700],
      ['Z', 0],
    ] as const) {
      const text = `${new Date((now + offset) * 1000).toISOString().slice(0, 19)}${zone} host sshd[70]: ${sshd}\n`;
      assert.deepEqual(await bans({ filter: 'sshd', findtime: 600 }, text), [sender], `bans after a line of ${zone}`);
    }
    for (const [name, offset, told] of zones) {
      const text = new Date((now + offset) * 1000).toISOString().slice(0, 19).replace('T', ' ');
      const lines = `${text} host sshd[71]: ${sshd}\n`.repeat(offLinesMin);
      const jail = { filter: 'sshd', maxretry: offLinesMin, findtime: 600 };
      assert.equal(
        (await engineAfter({ ...jail, timezone: zoneOf(name) }, lines)).waiting,
        1,
        `bans of a log in ${name}`,
      );
      const problems = problemsOf(await engineAfter(jail, lines)).join();
      assert.ok(
        problems.includes(`${path}: its times lie ${told} the clock`),
        `what is said of ${name}: "${problems}"`,
      );
    }
    await assertTwice();
    return `${zones.length} zones: with timezone their lines count when they were written, without it the distance is told`;
  },
  [
    sabotaged('the zone of a jail is not heeded', /bans of a log in Asia/),
    twin(
      'a zone west of UTC that is read as one east of it',
      given<Zones>({
        ...ourZones,
        zoneOf: (name) =>
          ourZones.zoneOf(name).map(({ from, offset }) => ({ from, offset: name === '-0330' ? -offset : offset })),
      }),
      /bans of a log in -0330/,
    ),
    twin('a daemon that says nothing', given<Zones>({ ...ourZones, problemsOf: () => [] }), /what is said of Asia/),
  ],
);

type Count = (filter: string, lines: string[]) => Promise<number>;

const head = `${new Date(now * 1000).toISOString()} host`;
const failures: Count = async (filter, lines) => {
  const engine = await engineAfter({ filter }, lines.map((line) => `${head} ${line}\n`).join(''));
  return engine.jailCounter(0, JAIL_FAILURES);
};

const session = 'rip=192.0.2.7, lip=203.0.113.4, TLS, session=<s1>';
const pam = (module: string, verdict: string, user = 'bob'): string =>
  `auth: ${module}(dovecot:auth): authentication ${verdict}; logname= uid=0 euid=0 tty=dovecot ruser=${user} rhost=192.0.2.7 user=${user}`;
const attempts: [what: string, filter: string, lines: string[], count: number][] = [
  [
    "a process of Dovecot's and the login that it is about",
    'dovecot',
    [
      'dovecot: auth-worker(9): pam(bob,192.0.2.7,<s1>): pam_authenticate() failed: Authentication failure (Password mismatch?)',
      `dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<bob>, method=PLAIN, ${session}`,
    ],
    1,
  ],
  [
    'three passwords of one connection, and its goodbye',
    'sshd',
    [
      ...Array.from({ length: 3 }, () => `sshd[71]: ${sshd}`),
      'sshd[71]: error: maximum authentication attempts exceeded for root from 192.0.2.7 port 40022 ssh2 [preauth]',
    ],
    3,
  ],
  ['a line that stands for five', 'sshd', [`sshd[72]: message repeated 5 times: [ ${sshd}]`], 5],
  ['a line that was repeated four times', 'sshd', [`sshd[74]: ${sshd}`, 'last message repeated 4 times'], 5],
  ['a repeat of another line', 'sshd', [`sshd[75]: ${sshd}`, 'cron[3]: x', 'last message repeated 4 times'], 1],
  ['a module that refuses and one that accepts', 'dovecot', [pam('pam_unix', 'failure'), pam('pam_sss', 'success')], 0],
  ['two modules that refuse', 'dovecot', [pam('pam_unix', 'failure'), pam('pam_sss', 'failure')], 1],
  [
    'a name that nobody has, and its passwords in a folded line',
    'sshd',
    [
      'sshd[76]: Invalid user bob from 192.0.2.7 port 40022',
      'sshd[76]: message repeated 3 times: [ Failed password for invalid user bob from 192.0.2.7 port 40022 ssh2]',
    ],
    3,
  ],
  ['a success of somebody else', 'dovecot', [pam('pam_unix', 'failure', 'root'), pam('pam_sss', 'success')], 1],
];

claim(
  'X-attempts',
  given(failures),
  async (count) => {
    for (const [what, filter, lines, expected] of attempts)
      assert.equal(await count(filter, lines), expected, `attempts of ${what}`);
    const waiting = ['192.0.2.8', '192.0.2.9'].map(
      (address) => `${head} ${pam('pam_unix', 'failure').replace(sender, address)}\n`,
    );
    assert.deepEqual(await bans({ filter: 'dovecot' }, waiting.join('')), ['192.0.2.8', '192.0.2.9'], 'who waited');
    return attempts.map(([what, , , count]) => `${what}: ${count}`).join('; ');
  },
  [
    twin(
      'an engine to which each line is an attempt',
      given<Count>(async (filter, lines) => {
        let sum = 0;
        for (const line of lines) sum += await failures(filter, [line]);
        return sum;
      }),
      /attempts of a process of Dovecot's/,
    ),
    twin(
      'an engine that takes a repeated line for one',
      given<Count>((filter, lines) =>
        failures(
          filter,
          lines.map((line) => line.replace(/message repeated \d+ times: \[ (.*)\]/, '$1')),
        ),
      ),
      /attempts of a line that stands for five/,
    ),
    twin(
      "an engine to which a repeat without a name is nobody's",
      given<Count>((filter, lines) =>
        failures(
          filter,
          lines.filter((line) => !line.startsWith('last message')),
        ),
      ),
      /attempts of a line that was repeated four times/,
    ),
    sabotaged('a repeat is charged to whoever failed before, whatever stands between', /of a repeat of another line/),
    sabotaged("a module's refusal counts at once", /attempts of a module that refuses/),
    twin(
      'a success that takes back what others failed',
      given<Count>((filter, lines) =>
        failures(
          filter,
          lines.map((line) => line.replaceAll('root', 'bob')),
        ),
      ),
      /attempts of a success of somebody else/,
    ),
  ],
);

/** Follows files; says what happened to each path, and closes them. */
type Open = (paths: string[]) => { refused: string[]; read: () => string; close: () => void };

const followed: Open = (paths) => {
  const refused: string[] = [];
  let read = '';
  const engine = Buffer.alloc(65_536);
  const source = new FileSource({
    patterns: paths,
    assign: () => 0,
    release: () => {},
    now: () => now,
    monotonic: () => performance.now(),
    drain: () => {},
    event: ({ kind, path: place }) => kind === 'error' && refused.push(place),
    sink: {
      buffer: engine,
      feed: (_source: number, length: number) => {
        read += engine.toString('latin1', 0, length);
        return length;
      },
    } as never,
  });
  source.start();
  return {
    refused,
    read: () => {
      source.drain();
      return read;
    },
    close: () => source.stop(),
  };
};

/** Opens first and checks afterwards, with `isLog`. */
const opening =
  (isLog: (descriptor: number) => boolean): Open =>
  (paths) => {
    const descriptors = paths.map((place) => openSync(place, constants.O_RDONLY | constants.O_NONBLOCK));
    return {
      refused: paths.filter((_, index) => !isLog(descriptors[index]!)),
      read: () => '',
      close: () => {
        for (const descriptor of descriptors) closeSync(descriptor);
      },
    };
  };

claim(
  'X-places',
  given(followed),
  (open) => {
    const { path: home, remove } = temporaryDirectory();
    const fifo = join(home, 'fifo.log');
    const log = join(home, 'a.log');
    const link = join(home, 'link.log');
    execFileSync('mkfifo', [fifo]);
    writeFileSync(log, '');
    symlinkSync('/proc/self/status', link);
    const strange = [fifo, '/dev/zero', '/proc/kallsyms', '/sys/kernel/notes', link];
    const { refused, read, close } = open([...strange, log]);
    try {
      assert.deepEqual([...refused].sort(), [...strange].sort(), 'what is refused');
      // Nobody reads the other end: a writer that does not wait gets an error.
      assert.throws(
        () => openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK),
        { code: 'ENXIO' },
        'a FIFO is open',
      );
      writeFileSync(log, 'one\n');
      assert.equal(read(), 'one\n', 'what the log beside them holds');
    } finally {
      close();
      remove();
    }
    return `${strange.length} places that are no log: refused with a word and never opened, the log beside them read`;
  },
  [
    sabotaged('a file of proc is followed like a log', /what is refused/),
    twin(
      'a source that takes what looks like a regular file',
      given(opening((descriptor) => fstatSync(descriptor).isFile())),
      /what is refused/,
    ),
    twin(
      'a source that opens before it looks',
      given<Open>((paths) => {
        const real = followed(paths);
        const descriptor = openSync(paths[0]!, constants.O_RDONLY | constants.O_NONBLOCK);
        return {
          ...real,
          close() {
            real.close();
            closeSync(descriptor);
          },
        };
      }),
      /a FIFO is open|Missing expected exception/,
    ),
  ],
  { needs: ['linux'] },
);

type Take = (path: string) => number;
const ours: Take = (place) => takeLock(place, 'table "x"', 'table of its own');

/** A process that takes the lock and waits to be killed. */
async function holder(place: string): Promise<{ pid: number; kill: () => Promise<unknown> }> {
  const script = `import('${join(import.meta.dirname, '../src/sole.ts')}').then(({ takeLock }) => {
    takeLock(${JSON.stringify(place)}, 'table', 'own');
    process.stdout.write('taken');
    setInterval(() => {}, 1000);
  });`;
  const child = spawn(process.execPath, ['-e', script]);
  await once(child.stdout, 'data');
  return {
    pid: child.pid!,
    kill() {
      child.kill('SIGKILL');
      return once(child, 'exit');
    },
  };
}

claim(
  'X-locks',
  given(ours),
  async (take) => {
    const { path: home, remove } = temporaryDirectory();
    const place = join(home, 'made', 'lock');
    try {
      const other = await holder(place);
      let said = 'nothing';
      try {
        closeSync(take(place));
      } catch (error) {
        said = (error as Error).message;
      }
      await other.kill();
      assert.match(said, new RegExp(`process ${other.pid}\\b`), 'what a second daemon is told');
      let left = 'taken';
      try {
        closeSync(take(place));
      } catch (error) {
        left = (error as Error).message;
      }
      assert.equal(left, 'taken', 'the lock after its holder was killed');
      const target = join(home, 'target');
      symlinkSync('target', join(home, 'link'));
      assert.throws(() => take(join(home, 'link')), /ELOOP/, 'a lock through a link');
      assert.ok(!existsSync(target), 'a file was made through a link');
    } finally {
      remove();
    }
    return 'a second daemon is refused and told who holds the lock; kill -9 ends it; a link is none';
  },
  [
    sabotaged('a lock that another process holds is taken', /what a second daemon is told/),
    twin(
      'a lock that is there as long as its file is',
      given<Take>((place) => {
        if (!existsSync(place)) return ours(place);
        const pid = execFileSync('cat', [place], { encoding: 'utf8' });
        throw new Error(`process ${pid} has it`);
      }),
      /the lock after its holder was killed/,
    ),
    twin(
      'a lock that is followed through links',
      given<Take>((place) => (place.endsWith('link') ? openSync(place, 'a+') : ours(place))),
      /a lock through a link|Missing expected exception/,
    ),
  ],
  { needs: ['linux'] },
);
