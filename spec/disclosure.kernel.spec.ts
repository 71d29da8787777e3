/**
 * What the running daemon says about an attack whose user names try to become part of its log.
 */
import assert from 'node:assert/strict';
import { appendFileSync, linkSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../scripts/lab/daemon.ts';
import { logFieldMax, logLineMax } from '../src/limits.ts';
import { type Fields, Log } from '../src/log.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { until } from '../test/support/until.ts';
import { assertNone } from './assertions.ts';
import { claim, type Supply, twin } from './claim.ts';

/** Sources of the attack: fewer than the lines of one text that the log lets through at once. */
const sources = 30;
const address = (index: number): string => `192.0.2.${index + 1}`;

/**
 * User names that forge lines, fields, objects and cursor movements; `zebra` marks the attacker's
 * text.
 */
const names = [
  'zebra',
  'zebra jail=sshd address=198.51.100.9',
  'zebra","level":"error","msg":"zebra',
  'zebra\u001b[2J\u009bzebra',
  'zebra from 198.51.100.9 port 22 ssh2',
  'zebra\\n<0>zebra',
  '\u202ezebra',
  'zebra'.repeat(60),
];

interface Attack {
  /** What the daemon said, line by line. */
  said: string[];
  path: string;
  log: Buffer;
}

/** Starts the daemon, attacks it until it has decided on each source, and stops it. */
async function attacked(settings: string): Promise<Attack> {
  const directory = temporaryDirectory();
  const path = join(directory.path, 'auth "a" \\.log');
  writeFileSync(path, '');
  const text = `[metrics]\nenabled = false\n[firewall]\nbackend = "log-only"\n[log]\n${settings}\n[jails.sshd]\nlogpath = ${JSON.stringify(path)}\nmaxretry = 2\nignoreself = false\n`;
  const daemon = await Daemon.start(directory.path, text);
  try {
    const time = new Date().toISOString().replace(/\.\d+Z$/, '+00:00');
    for (let failure = 0; failure < 2; failure++) {
      for (let index = 0; index < sources; index++) {
        const user = names[index % names.length];
        const line = `${time} host sshd[${1_000 + index}]: Failed password for ${user} from ${address(index)} port 40022 ssh2\n`;
        appendFileSync(path, line);
      }
    }
    await until(async () => (await daemon.stats())['bans.total'] === sources, { what: 'a ban of each source' });
    const log = readFileSync(path);
    const heard = (kind: string) => daemon.said.some((line) => line.includes(`log file ${kind}`));
    truncateSync(path, 0);
    await until(() => heard('truncated'), { what: 'the cut' });
    appendFileSync(path, log.subarray(0, log.indexOf('\n') + 1));
    // The path never is without a file: after a gap the daemon would not see a rotation.
    linkSync(path, `${path}.1`);
    writeFileSync(`${path}.new`, '');
    renameSync(`${path}.new`, path);
    await until(() => heard('rotated'), { what: 'the rotation' });
    await daemon.stop();
    return { said: [...daemon.said], path, log };
  } finally {
    await daemon.stop();
    directory.remove();
  }
}

/** The same daemon at two levels. */
interface Levels {
  info: Attack;
  debug: Attack;
}

function levels(atInfo: string, atDebug: string, spoil = (attack: Attack) => attack): Supply<Levels> {
  return {
    make: async () => ({
      info: spoil(await attacked(`level = "${atInfo}"`)),
      debug: spoil(await attacked(`level = "${atDebug}"`)),
    }),
  };
}

/** A daemon that quotes the log line behind each thing it says about an address. */
function quoting(attack: Attack): Attack {
  const lines = attack.log.toString('latin1').split('\n');
  const quoted = attack.said.map((line) => {
    const found = /address=(\S+)/.exec(line)?.[1];
    return found === undefined ? line : `${line} line=${JSON.stringify(lines.find((one) => one.includes(found)))}`;
  });
  return { ...attack, said: quoted };
}

/** Whether a line contains a part of an attacker's name that is not one of our words. */
const holdsAttackersText = (line: string): boolean => /zebra|198\.51\.100\.9/.test(line);

claim(
  'I-03',
  levels('info', 'debug'),
  ({ info, debug }) => {
    assertNone([...info.said, ...debug.said].filter(holdsAttackersText), 'lines with text of the attacker');
    const bans = info.said.filter((line) => line.includes(' would ban jail=sshd address=192.0.2.'));
    assert.equal(bans.length, sources, 'bans said at level info');
    assertNone(
      info.said.filter((line) => line.includes(' decided ')),
      'decisions at level info',
    );
    const decisions = debug.said.filter((line) => line.includes(' debug decided '));
    assert.equal(decisions.length, sources, 'decisions said at level debug');
    for (const decision of decisions) {
      const field = (name: string): string =>
        new RegExp(` ${name}=("(?:[^"\\\\]|\\\\.)*"|\\S+)`).exec(decision)?.[1] ?? '';
      assert.deepEqual(
        [field('jail'), field('filter'), field('pattern'), field('failures')],
        ['sshd', 'sshd', 'failed', '2'],
      );
      const named = debug.path.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
      assert.equal(field('path'), `"${named}"`, 'the log by its name, quoted whole');
      const at = Number(field('offset'));
      const line = debug.log.toString('latin1', at, debug.log.indexOf('\n', at));
      assert.ok(
        line.endsWith(` from ${field('address')} port 40022 ssh2`),
        `the line at ${at} is not the one: ${line}`,
      );
    }
    return `${sources} sources with ${names.length} hostile names: none of their text at either level; at debug ${decisions.length} decisions, each with jail, address, filter, pattern, file and the offset of its line`;
  },
  [
    twin('a daemon that quotes the line', levels('info', 'debug', quoting), /lines with text of the attacker/),
    twin('a daemon that says its decisions to everybody', levels('debug', 'debug'), /decisions at level info/),
    twin('a daemon that keeps its decisions to itself', levels('info', 'info'), /decisions said at level debug/),
  ],
  { needs: ['linux', 'root', 'built'], timeoutMs: 120_000 },
);

interface JsonLog {
  /** What a running daemon said. */
  said: () => Promise<string[]>;
  /** A line of the log with these fields. */
  line: (fields: Fields) => string;
}

/** Values that others choose, up to the longest field. */
const values = [
  ...names,
  '',
  '"',
  '\\',
  '\\"} , {',
  'a\nb\r\tc\0',
  '{"time":"2025-11-21T03:15:28Z","level":"error","msg":"forged"}',
  '\u2028\u2029\u0085\ufeff\u{1f600}\u{e0041}',
  '\u0001'.repeat(100),
].filter((value) => value.length <= logFieldMax);

function jsonLog(settings = 'format = "json"\nlevel = "debug"', write = jsonLine): Supply<JsonLog> {
  // What the launch stage says of a configuration for people begins with the name of the program.
  const ofLog = ({ said }: Attack): string[] => said.filter((line) => !line.startsWith('fail2zig: '));
  return { make: () => ({ said: async () => ofLog(await attacked(settings)), line: write }) };
}

function jsonLine(fields: Fields): string {
  let written = '';
  const write = (line: string): void => {
    written += line;
  };
  new Log({ level: 'info', format: 'json', journal: false, write }).info('banned', fields);
  return written;
}

/** A log that concatenates texts. */
function concatenated(fields: Fields): string {
  const rest = Object.entries(fields).map(([name, value]) => `,"${name}":"${value}"`);
  return `{"time":"${new Date().toISOString()}","level":"info","msg":"banned"${rest.join('')}}\n`;
}

/** The object of a line; fails by an assertion where it is none. */
function objectOf(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    assert.fail(`not JSON: ${line}`);
  }
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), `no object: ${line}`);
  return value as Record<string, unknown>;
}

claim(
  'LP-31',
  jsonLog(),
  async ({ said, line }) => {
    const lines = await said();
    for (const each of lines) {
      const { time, level, msg, ...fields } = objectOf(each);
      assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, `time of ${each}`);
      assert.ok(['error', 'warn', 'info', 'debug'].includes(String(level)), `level of ${each}`);
      assert.equal(typeof msg, 'string', `msg of ${each}`);
      assertNone(
        Object.keys(fields).filter((name) => typeof fields[name] === 'object'),
        'fields that are not flat',
      );
    }
    assert.equal(lines.filter((each) => objectOf(each).msg === 'decided').length, sources, 'decisions');
    for (const value of values) {
      const written = line({ jail: 'sshd', value, bans: 3 });
      assert.equal(written.indexOf('\n'), written.length - 1, 'line ends');
      const { time: _, ...rest } = objectOf(written);
      assert.deepEqual(rest, { level: 'info', msg: 'banned', jail: 'sshd', value, bans: 3 }, 'what comes back');
    }
    const { level, msg } = objectOf(line({ level: 'forged', msg: 'forged', time: 'forged' }));
    assert.deepEqual([level, msg], ['info', 'banned'], 'fields that take the names of others');
    const long = line({ value: '\u0001'.repeat(1_000_000), jail: 'sshd' });
    assert.ok(long.length < logLineMax + 100 && objectOf(long).jail === 'sshd', `a line of ${long.length} characters`);
    return `${lines.length} lines of a daemon under attack: each an object with time, level and msg; ${values.length} hostile values come back as they were; a value of a million characters is cut`;
  },
  [
    twin('a log that is put together from texts', jsonLog(undefined, concatenated), /what comes back/),
    twin('a daemon that logs text', jsonLog('level = "debug"'), /not JSON: \d{4}-/),
  ],
  { needs: ['linux', 'root', 'built'], timeoutMs: 120_000 },
);
