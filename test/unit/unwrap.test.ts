/**
 * What lines are wrapped in: each form with filters of both kinds, each rule for doubtful cases,
 * pieces that are joined or dropped, and what a client writes to look like a wrapper. In every
 * build of the engine.
 */
import { describe, expect, test } from 'vitest';
import { LINES_MISSHAPEN, LINES_TOO_LONG, PIECES_DROPPED } from '../../src/engine/counters.ts';
import { Examiner } from '../../src/engine/examiner.ts';
import type { Build } from '../../src/engine/host.ts';
import { PIECES_MAX } from '../../src/engine/layout.ts';
import { inputBytes, lineBytesMax, messageFieldsMax } from '../../src/limits.ts';
import { formatAddress } from '../../src/text/address.ts';
import type { Decision, LineFormat } from '../../src/types.ts';

const builds: Build[] = ['wasm', 'scalar', 'plain'];
const now = Date.UTC(2026, 10, 21, 9) / 1000;
const time = '2026-11-21T08:59:59.123456789Z';

interface Settings {
  filter: string;
  format?: LineFormat;
  message?: string;
}

/** An engine that bans at the first failure. `feed` returns whom a text bans, and when. */
async function open(build: Build, ...jails: Settings[]) {
  const engine = await Examiner.create({
    build,
    jails: jails.map((jail) => ({
      ...{ mode: '', maxretry: 1, findtime: 86_400, bantime: 600, ipv6Prefix: 128, ignore: [] },
      ...jail,
    })),
    tableBytes: 4_096,
    now,
  });
  const routes = jails.map(({ filter }, index) => engine.addRoute([{ index, filter, mode: '' }]));
  for (const [index, route] of routes.entries()) engine.openSource(index, route);
  const feed = (text: string, source = 0, final = false): string[] => {
    const length = engine.buffer.length < text.length ? engine.buffer.length : Buffer.from(text).copy(engine.buffer);
    let at = 0;
    while (at < length) {
      const consumed = engine.feed(source, length - at, at, now, final);
      if (consumed === 0) break;
      engine.buffer.copyWithin(0, consumed, length - at);
      at += consumed;
    }
    const found: Decision[] = [];
    engine.takeDecisions((decision) => found.push(decision));
    for (const { jail, address } of found) engine.forget(jail, address);
    return found.map(({ address }) => formatAddress(address).replace(/\/128$/, ''));
  };
  return { engine, feed, route: routes[0]! };
}

const docker = (text: string, stream = 'stdout', rest = ''): string =>
  `{"log":${JSON.stringify(text)},"stream":"${stream}"${rest},"time":"${time}"}\n`;
const cri = (text: string, stream = 'stdout', tag = 'F'): string => `${time} ${stream} ${tag} ${text}\n`;
const svlogd = (text: string): string => `2026-11-21_08:59:59.12345 ${text}\n`;
const tai = (text: string): string => `@400000006b015d991dcd6500 ${text}\n`;

/**
 * Lines of services that have an identifier, lines that begin with their own time, and lines that
 * are only a message.
 */
const lines: [filter: string, line: string][] = [
  ['sshd', 'Failed password for root from 192.0.2.7 port 40022 ssh2'],
  ['sshd', 'sshd[71]: Failed password for root from 192.0.2.7 port 40022 ssh2'],
  ['sshd', 'Nov 21 08:59:59 host sshd[71]: Failed password for root from 192.0.2.7 port 40022 ssh2'],
  ['dropbear', "[71] Nov 21 08:59:59 Bad password attempt for 'root' from 192.0.2.7:40022"],
  [
    'postfix',
    'Nov 21 08:59:59 mail postfix/smtpd[901]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <x@example.org>: Relay access denied; from=<x@example.com> to=<x@example.org> proto=SMTP helo=<x>',
  ],
  [
    'dovecot',
    'Nov 21 08:59:59 imap-login: Info: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<bob>, method=PLAIN, rip=192.0.2.7, lip=203.0.113.4, TLS, session=<sess>',
  ],
  [
    'nginx-http-auth',
    '2026/11/21 08:59:59 [error] 811#811: *42 user "x": password mismatch, client: 192.0.2.7, server: x, request: "GET / HTTP/1.1", host: "x"',
  ],
  ['nginx-botsearch', '192.0.2.7 - - [21/Nov/2026:08:59:59 +0000] "GET /phpmyadmin HTTP/1.1" 404 5 "-" "x"'],
  [
    'apache-auth',
    '[Sat Nov 21 08:59:59.123456 2026] [auth_basic:error] [pid 811:tid 139] [client 192.0.2.7:33570] AH01617: user bob: authentication failure for "/": Password Mismatch',
  ],
  [
    'asterisk',
    "[Nov 21 08:59:59] NOTICE[811]: chan_sip.c:28276 handle_request_register: Registration from '\"100\" <sip:100@203.0.113.1>' failed for '192.0.2.7:5060' - Wrong password",
  ],
  [
    'vaultwarden',
    '[2026-11-21 08:59:59.129][vaultwarden::api::identity][ERROR] Username or password is incorrect. Try again. IP: 192.0.2.7. Username: alice@example.org.',
  ],
];

const wrappers: [name: string, wrap: (text: string) => string][] = [
  ['nothing', (text) => `${text}\n`],
  ['Docker', (text) => docker(`${text}\n`)],
  ['Docker, a terminal, stderr', (text) => docker(`${text}\r\n`, 'stderr')],
  ['Docker with attributes', (text) => docker(`${text}\n`, 'stdout', ',"attrs":{"tag":"a}\\"","b":{"c":[1]}}')],
  [
    'Docker, \\u for each letter',
    (text) =>
      `{"log":"${[...text].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}\\n","stream":"stdout","time":"${time}"}\n`,
  ],
  ['CRI', (text) => cri(text)],
  ['CRI with a zone, stderr', (text) => `2026-11-21T09:59:59.1+01:00 stderr F ${text}\n`],
  ['CRI with tags', (text) => cri(text, 'stdout', 'F:a=b')],
  ['svlogd -tt', svlogd],
  ['svlogd -ttt', (text) => `2026-11-21T08:59:59.12345 ${text}\n`],
  ['multilog', tai],
  ['a byte order mark', (text) => `\ufeff${text}\n`],
  ['a tab', (text) => `\t${text}\n`],
  ['blanks', (text) => `   ${text}\n`],
  ['a priority', (text) => `<38>${text}\n`],
  ['colours', (text) => `\x1b[0m${text.replace(' ', ' \x1b[1;31m')}\x1b[0m\n`],
  ['Docker with colours', (text) => docker(`\x1b[0m${text.replace(' ', ' \x1b[1;31m')}\x1b[0m\n`)],
  ['CRI with a tab', (text) => cri(`\t${text}`)],
];

describe.each(builds)('%s', (build) => {
  test.each(wrappers)('%s around every kind of line', async (name, wrap) => {
    for (const [filter, text] of lines) {
      // If the wrapper has no time, an identifier is needed.
      const isBare = filter === 'sshd' && !text.startsWith('Nov');
      if (isBare && /^(nothing|a byte|a tab|blanks|a priority|colours)/.test(name)) continue;
      const { feed } = await open(build, { filter });
      expect(feed(wrap(text)), `${filter}: ${wrap(text)}`).toEqual(['192.0.2.7']);
      // Nothing of it is left over for the next line.
      expect(feed(`x\n${wrap(text)}x\n`)).toEqual(['192.0.2.7']);
    }
  });

  test('a stamp of any length, and a colour anywhere at the head, are seen behind a digit', async () => {
    const { feed } = await open(build, { filter: 'nginx-http-auth' });
    const text = lines.find(([filter]) => filter === 'nginx-http-auth')![1];
    for (const clock of ['8:59:59', '08:59:59']) {
      for (let digits = 0; digits < 10; digits++) {
        for (const zone of ['', 'Z', '+00', '+00:00']) {
          const stamp = `2026-11-21T${clock}${digits > 0 ? '.' : ''}${'123456789'.slice(0, digits)}${zone}`;
          expect(feed(`${stamp} stderr F ${text}\n`), stamp).toEqual(['192.0.2.7']);
        }
      }
    }
    for (let at = 0; at < 48; at++)
      expect(feed(`${text.slice(0, at)}\x1b[1m${text.slice(at)}\n`), `at ${at}`).toEqual(['192.0.2.7']);
  });

  test('the buffer is not changed', async () => {
    const { engine, feed } = await open(build, { filter: 'sshd' });
    for (const [, wrap] of wrappers) {
      const text = wrap(lines[2]![1]);
      feed(text);
      expect(engine.buffer.toString()).not.toBe('');
      expect(engine.feed(0, Buffer.from(text).copy(engine.buffer), 0, now, false)).toBe(Buffer.byteLength(text));
      expect(Buffer.from(engine.buffer.subarray(0, Buffer.byteLength(text))).toString()).toBe(text);
    }
  });

  test('a line has the time of its wrapper', async () => {
    const text = 'Nov 20 01:02:03 host sshd[71]: Failed password for root from 192.0.2.7 port 40022 ssh2';
    const { engine } = await open(build, { filter: 'sshd' });
    const timeOf = (line: string) => engine.examine(Buffer.from(line.trimEnd()), 'sshd', '', now, false).time;
    for (const wrap of [docker, cri, svlogd, tai])
      expect(timeOf(wrap(wrap === docker ? `${text}\n` : text))).toBe(now - 1);
    expect(timeOf(text)).toBe(Date.UTC(2026, 10, 20, 1, 2, 3) / 1000);
  });

  test.each<[what: string, line: string]>([
    ['no stream', `{"log":"TEXT\\n","time":"${time}"}`],
    ['another stream', `{"log":"TEXT\\n","stream":"stdin","time":"${time}"}`],
    ['no time', '{"log":"TEXT\\n","stream":"stdout"}'],
    ['a time that is none', '{"log":"TEXT\\n","stream":"stdout","time":"now"}'],
    ['a number for a time', '{"log":"TEXT\\n","stream":"stdout","time":1795248000}'],
    ['more', `{"log":"TEXT\\n","stream":"stdout","time":"${time}","more":1}`],
    ['a key twice', `{"log":"x\\n","log":"TEXT\\n","stream":"stdout","time":"${time}"}`],
    ['the other twice', `{"log":"TEXT\\n","stream":"stdout","stream":"stdout","time":"${time}"}`],
    ['text behind it', `{"log":"TEXT\\n","stream":"stdout","time":"${time}"}x`],
    ['no end', `{"log":"TEXT\\n","stream":"stdout","time":"${time}"`],
    ['an escape that is none', `{"log":"\\x TEXT\\n","stream":"stdout","time":"${time}"}`],
    ['an escape of three digits', `{"log":"TEXT\\u00a\\n","stream":"stdout","time":"${time}"}`],
    ['an object for a text', `{"log":{"log":"TEXT\\n"},"stream":"stdout","time":"${time}"}`],
    ['a CRI line of another stream', `${time} stdlog F TEXT`],
    ['a CRI line without a tag', `${time} stdout TEXT`],
    ['a CRI line whose tag is longer', `${time} stdout Fx TEXT`],
    ['a CRI line without a time', '2026-11-21Tx stdout F TEXT'],
    ['an entry within an entry', docker(docker('TEXT\n')).trimEnd()],
    ['a CRI line within an entry', docker(cri('TEXT')).trimEnd()],
  ])('%s is no wrapper', async (_, line) => {
    const { feed } = await open(build, { filter: 'nginx-botsearch' });
    const text = lines.find(([filter]) => filter === 'nginx-botsearch')![1];
    expect(feed(`${line.replace('TEXT', JSON.stringify(text).slice(1, -1))}\n`)).toEqual([]);
  });

  test.each<[what: string, escape: string, bytes: string]>([
    ['NUL', '\\u0000', '\0'],
    ['quote, backslash, slash', '\\"\\\\\\/', '"\\/'],
    ['controls', '\\b\\f\\t', '\b\f\t'],
    ['two bytes', '\\u00e4', 'ä'],
    ['three bytes', '\\u20AC', '€'],
    ['a pair', '\\ud83d\\ude00', '😀'],
    ['half a pair', '\\ud83d', '\ufffd'],
    ['the other half', '\\ude00x', '\ufffdx'],
    ['a half and no half', '\\ud83d\\u0041', '\ufffdA'],
    ['two first halves', '\\ud83d\\ud83d\\ude00', '\ufffd😀'],
    ['a line feed within', 'a\\nb', 'a b'],
    ['raw bytes', 'ä€', 'ä€'],
  ])('%s', async (_, written, bytes) => {
    const { engine } = await open(build, { filter: 'sshd' });
    const line = `{"log":"Failed password for ${written} from 192.0.2.7 port 1 ssh2\\n","stream":"stdout","time":"${time}"}`;
    const { user } = engine.examine(Buffer.from(line), 'sshd', '', now, false);
    expect(Buffer.from(user ?? []).toString()).toBe(bytes);
  });

  test('a filter that reads JSON gets its lines unchanged, alone and in a container', async () => {
    const line = `{"ClientAddr":"192.0.2.7:1","ClientHost":"192.0.2.7","ClientUsername":"-","DownstreamStatus":401,"RequestHost":"x","RequestMethod":"GET","RequestPath":"/","RequestProtocol":"HTTP/1.1","level":"info","msg":"","time":"${time}"}`;
    const { engine } = await open(build, { filter: 'traefik-auth' });
    const outcome = (text: string) => engine.examine(Buffer.from(text), 'traefik-auth', '', now, false);
    const alone = outcome(line);
    expect(outcome(docker(`${line}\n`).trimEnd()).outcome).toBe(alone.outcome);
    expect(outcome(cri(line).trimEnd()).outcome).toBe(alone.outcome);
  });
});

describe.each(builds)('pieces, %s', (build) => {
  const text = 'Failed password for root from 192.0.2.7 port 40022 ssh2';
  const [first, second, third] = [text.slice(0, 20), text.slice(20, 35), text.slice(35)];

  test.each<
    [what: string, piece: (text: string, stream?: string) => string, last: (text: string, stream?: string) => string]
  >([
    ['Docker', (part, stream) => docker(part, stream), (part, stream) => docker(`${part}\n`, stream)],
    ['CRI', (part, stream) => cri(part, stream, 'P'), (part, stream) => cri(part, stream)],
  ])('%s', async (_, piece, last) => {
    const { engine, feed, route } = await open(build, { filter: 'sshd' }, { filter: 'sshd' });
    expect(feed(piece(first) + last(second + third))).toEqual(['192.0.2.7']);
    // Over several reads, with the other stream and another file in between.
    expect(feed(piece(first))).toEqual([]);
    expect(feed(piece('x', 'stderr'))).toEqual([]);
    expect(feed(last(text), 1)).toEqual(['192.0.2.7']);
    // An empty piece ends nothing, whatever ended before it.
    expect(feed(piece(''))).toEqual([]);
    expect(feed(piece(second))).toEqual([]);
    expect(feed(last(text, 'stderr'))).toEqual([]);
    expect(feed(last(third))).toEqual(['192.0.2.7']);
    expect(feed(last(text))).toEqual(['192.0.2.7']);
    // A line over the limit is cut. Its rest belongs to nobody, and neither does what follows a
    // gap.
    const before = engine.counter(LINES_TOO_LONG);
    expect(feed(piece(`${first}${'x'.repeat(lineBytesMax)}`) + piece(second) + last(third))).toEqual([]);
    expect(engine.counter(LINES_TOO_LONG)).toBe(before + 1);
    expect(feed(last(text))).toEqual(['192.0.2.7']);
    // A file that is opened again starts afresh.
    expect(feed(piece('x'))).toEqual([]);
    engine.openSource(0, route);
    expect(feed(last(text))).toEqual(['192.0.2.7']);
    expect(engine.counter(PIECES_DROPPED)).toBe(0);
  });

  test('if no room is left, the oldest line is dropped up to its end, and counted', async () => {
    const sources = PIECES_MAX + 1;
    const { engine, feed } = await open(build, ...Array.from({ length: sources }, () => ({ filter: 'sshd' })));
    for (let source = 0; source < sources; source++) feed(cri(first, 'stdout', 'P'), source);
    expect(engine.counter(PIECES_DROPPED)).toBe(1);
    // The rest could be read as a line of its own that begins with an attacker's text.
    expect(feed(cri(text, 'stdout', 'P'), 0)).toEqual([]);
    expect(feed(cri(text), 0)).toEqual([]);
    expect(engine.counter(PIECES_DROPPED)).toBe(3);
    expect(feed(cri(text), 0)).toEqual(['192.0.2.7']);
    for (let source = 1; source < sources; source++)
      expect(feed(cri(second + third), source), String(source)).toEqual(['192.0.2.7']);
  });

  test('an entry of Docker’s that is longer than the buffer loses the lines it may be part of', async () => {
    const { engine, feed } = await open(build, { filter: 'sshd' });
    // An entry that fits the buffer is read, wherever a read ends.
    const long = docker(`${text}${'<'.repeat(lineBytesMax + 10_000)}\n`);
    expect(feed(long.slice(0, -1))).toEqual([]);
    expect(feed(docker(`${' '.repeat(lineBytesMax + 10_000)}\n`))).toEqual([]);
    expect(feed(docker(`${text}\n`))).toEqual(['192.0.2.7']);
    expect(engine.counter(PIECES_DROPPED)).toBe(0);
    expect(feed(`{"log":"${'<'.repeat(inputBytes)}`.slice(0, inputBytes))).toEqual([]);
    expect(feed('x"}\n')).toEqual([]);
    expect(feed(`${docker(`${text}\n`)}${docker(`${text}\n`)}`)).toEqual(['192.0.2.7']);
    expect(engine.counter(PIECES_DROPPED)).toBe(2);
    expect(feed(`${docker(`${text}\n`)}${docker(`${text}\n`, 'stderr')}`)).toEqual(['192.0.2.7']);
  });
});

describe.each(builds)('formats, %s', (build) => {
  const text = 'Failed password for root from 192.0.2.7 port 40022 ssh2';
  const plain = `Nov 21 08:59:59 host sshd[71]: ${text}\n`;

  test.each<[format: LineFormat, read: string[], unread: string[]]>([
    ['auto', [plain, docker(`${text}\n`), cri(text)], []],
    ['plain', [plain], [docker(`${text}\n`), cri(text)]],
    ['docker', [docker(`${text}\n`)], [plain, cri(text), `${text}\n`]],
    ['cri', [cri(text)], [plain, docker(`${text}\n`), `${text}\n`]],
    ['json', [`{"msg":"${plain.trimEnd()}"}\n`, docker(`{"msg":"${text}"}\n`), cri(`{"msg":"${text}"}`)], [plain]],
  ])('%s', async (format, read, unread) => {
    const { engine, feed } = await open(build, { filter: 'sshd', format, message: 'msg' });
    for (const line of read) expect(feed(line), line).toEqual(['192.0.2.7']);
    expect(engine.counter(LINES_MISSHAPEN)).toBe(0);
    for (const line of unread) expect(feed(line), line).toEqual([]);
    expect(engine.counter(LINES_MISSHAPEN)).toBe(format === 'plain' ? 0 : unread.length);
    // An empty line does not count as a line.
    expect(feed('\n')).toEqual([]);
    expect(engine.counter(LINES_MISSHAPEN)).toBe(format === 'plain' ? 0 : unread.length);
  });

  test.each<[what: string, line: string, read: boolean]>([
    ['alone', '{"msg":"TEXT"}', true],
    ['with blanks', ' { "a" : 1 , "msg" : "TEXT" , "b" : [ 1 , { "c" : "]" } ] } ', true],
    ['with a time', '{"time":"2026-11-21T08:59:59Z","msg":"TEXT","level":"info"}', true],
    ['with milliseconds', '{"level":30,"time":1795251599123,"msg":"TEXT"}', true],
    ['with a line feed at its end', '{"ts":1795251599.123,"msg":"TEXT\\r\\n","x":null}', true],
    ['a text of the same name within', '{"a":{"msg":"x"},"msg":"TEXT","b":{"msg":"x"}}', true],
    ['only within', '{"a":{"msg":"TEXT"}}', false],
    ['twice', '{"msg":"TEXT","msg":"TEXT"}', false],
    ['twice, once as a number', '{"msg":1,"msg":"TEXT"}', false],
    ['a number', '{"msg":1}', false],
    ['an object', '{"msg":{"msg":"TEXT"}}', false],
    ['a longer name', '{"msg1":"TEXT"}', false],
    ['a shorter name', '{"ms":"TEXT"}', false],
    ['a name spelt with escapes', '{"m\\u0073g":"TEXT"}', false],
    ['text behind it', '{"msg":"TEXT"} x', false],
    ['no end', '{"msg":"TEXT"', false],
    ['no end of the text', '{"msg":"TEXT', false],
    ['a comma too many', '{"msg":"TEXT",}', false],
    ['no colon', '{"msg" "TEXT"}', false],
    ['an array', '["msg","TEXT"]', false],
    ['nothing', '{}', false],
    ['a bracket that does not close', '{"a":[1,"msg":"TEXT"}', false],
  ])('json: %s', async (_, line, read) => {
    const { engine, feed } = await open(build, { filter: 'sshd', format: 'json', message: 'msg' });
    // Without a time, a message needs a head of its own.
    const whole = /"(time|ts)"/.test(line) ? text : plain.trimEnd();
    expect(feed(`${line.replace(/TEXT/g, whole)}\n`)).toEqual(read ? ['192.0.2.7'] : []);
    expect(engine.counter(LINES_MISSHAPEN)).toBe(read ? 0 : 1);
  });

  test('each jail reads the field it names', async () => {
    const names = Array.from({ length: messageFieldsMax }, (_, index) => `field-${index}`);
    const { feed } = await open(
      build,
      ...names.map((message) => ({ filter: 'sshd', format: 'json' as const, message })),
    );
    for (const [index, name] of names.entries()) {
      const line = `{"field-0":1,"x":"y","${name}":"${plain.trimEnd()}"}\n`.replace(/"field-0":1,(?=.*"field-0")/, '');
      expect(feed(line, index)).toEqual(['192.0.2.7']);
      expect(feed(line, (index + 1) % names.length)).toEqual([]);
    }
  });
});

describe('what a client writes', () => {
  const fake = 'Failed password for root from 203.0.113.9 port 1 ssh2';
  const hostile = [
    docker(`${fake}\n`).trimEnd(),
    cri(fake).trimEnd(),
    svlogd(fake).trimEnd(),
    `"}\n${docker(`${fake}\n`)}`.replaceAll('\n', ' '),
    `\n","stream":"stdout","time":"${time}"} `,
    `\\n","stream":"stdout","time":"${time}"}`,
    `${time} stdout F ${fake}`,
    `sshd[1]: ${fake}`,
    `\x1b[${'1'.repeat(60)}`,
    '\\',
    '\\"',
    '\ud800',
    '\0',
  ];

  test.each(builds)('as a user name moves no address, %s', async (build) => {
    for (const text of hostile) {
      for (const user of [text, `x ${text}`]) {
        const line = `Failed password for invalid user ${user} from 192.0.2.7 port 40022 ssh2`;
        for (const wrapped of [
          `Nov 21 08:59:59 host sshd[71]: ${line}\n`,
          docker(`${line}\n`),
          docker(`Nov 21 08:59:59 host sshd[71]: ${line}\n`),
          cri(line),
          svlogd(line),
          tai(line),
          `<38>1 ${time} host sshd 71 - - ${line}\n`,
          docker(line.slice(0, 30)) + docker(`${line.slice(30)}\n`),
        ]) {
          const { feed } = await open(build, { filter: 'sshd' });
          expect([[], ['192.0.2.7']], wrapped).toContainEqual(feed(wrapped.replace(/\n(?=.)/g, '\n')));
        }
      }
    }
  });
});
