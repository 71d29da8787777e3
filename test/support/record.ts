/**
 * What fail2ban says about the lines of our corpus, as it was recorded (test/compare/record.jsonl),
 * and how our verdicts differ from it. The lines are our own. Lines of a case that needs another
 * mode than the default are left out.
 */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fail2banConfig, fail2banTree, useFail2banPackage } from '../../scripts/lab/fail2ban.ts';
import { Examiner, type Verdict } from '../../src/engine/examiner.ts';
import { askFail2ban } from '../../src/import/fail2ban.ts';
import { formatAddress, parseAddress } from '../../src/text/address.ts';
import { readCorpus } from './corpus.ts';

/** What fail2ban of Debian's package said, and what its newest revision said. */
const recordPaths = ['record.jsonl', 'record-newest.jsonl'].map((name) =>
  join(import.meta.dirname, '../compare', name),
);
export const recordPath = recordPaths[fail2banTree === undefined ? 0 : 1]!;
const now = Date.UTC(2025, 5, 1) / 1000;

/**
 * The filters that most hosts use, which LP-37 names. The records hold all filters that fail2ban
 * has.
 */
export const twenty = [
  ...['sshd', 'recidive', 'apache-auth', 'apache-badbots', 'apache-noscript', 'apache-overflows', 'nginx-http-auth'],
  ...['nginx-limit-req', 'nginx-botsearch', 'postfix', 'dovecot', 'exim', 'vsftpd', 'proftpd', 'pure-ftpd'],
  ...['mysqld-auth', 'named-refused', 'asterisk', 'roundcube-auth', 'webmin-auth'],
] as const;

export interface Record {
  version: string;
  /** Filter, line, and the address against which fail2ban counts. */
  rows: [filter: string, line: string, theirs: string | null][];
}

export interface Difference {
  filter: string;
  line: string;
  ours: string;
  theirs: string | null;
  /** undefined: no reason is known. */
  reason: string | undefined;
}

/** Both records. */
export const allRecorded = (): Record[] => recordPaths.map(recorded);

/** The first line holds the version, each further line one row. */
export function recorded(path = recordPath): Record {
  const [version = '', ...rows] = readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return { version, rows };
}

export function recordText({ version, rows }: Record): string {
  return [version, ...rows].map((row) => `${JSON.stringify(row)}\n`).join('');
}

/** Lines of the corpus by filter, for the filters that fail2ban has a jail for. */
export function corpusLines(): Map<string, string[]> {
  const jails = readFileSync(join(fail2banConfig, 'jail.conf'), 'utf8').split('\n');
  const lines = new Map<string, string[]>();
  for (const file of globSync(join(import.meta.dirname, '../corpus/*.txt')).sort()) {
    for (const one of readCorpus(file)) {
      if (one.modes.length > 0) continue;
      const filter = one.filter ?? basename(file, '.txt');
      if (!jails.includes(`[${filter}]`)) continue;
      if (!lines.has(filter)) lines.set(filter, []);
      for (const { line } of one.lines) {
        const text = line.toString('utf8');
        // Bytes that are not text would reach one of the two as something else.
        if (!/[\r\n\0\ufffd]/.test(text)) lines.get(filter)?.push(text);
      }
    }
  }
  return lines;
}

/** The lines of a record by filter, in its order. */
export function linesOf({ rows }: Record): Map<string, string[]> {
  const lines = new Map<string, string[]>();
  for (const [filter, line] of rows) lines.set(filter, [...(lines.get(filter) ?? []), line]);
  return lines;
}

/** Asks the unpacked package about lines by filter. Throws if it cannot be asked. */
export function verdictsOfFail2ban(asked: ReadonlyMap<string, string[]>): Record {
  useFail2banPackage();
  const record: Record = { version: '', rows: [] };
  for (const [filter, lines] of asked) {
    if (lines.length === 0) continue;
    const answer = askFail2ban(fail2banConfig, filter, lines, now);
    if (typeof answer === 'string') throw new Error(`${filter}: ${answer}`);
    record.version = answer.version;
    for (const [index, line] of lines.entries()) record.rows.push([filter, line, answer.lines[index]?.[0] ?? null]);
  }
  return record;
}

/** Examines one line after another with the filter's default mode. */
export type ExamineWith = (filter: string) => Promise<(line: string) => Verdict>;

export const examineWith: ExamineWith = async (filter) => {
  const engine = await Examiner.create({ build: 'plain', jails: [], tableBytes: 0, now });
  return (line) => engine.examine(Buffer.from(line), filter, '', now, false);
};

/** Lines on which our verdict and the record differ, each with the reason if one is known. */
export async function differencesFrom(
  { rows, version }: Record,
  examine: ExamineWith = examineWith,
): Promise<{ agree: number; differences: Difference[] }> {
  const differences: Difference[] = [];
  let agree = 0;
  for (const filter of new Set(rows.map(([of]) => of))) {
    const verdictOf = await examine(filter);
    for (const [of, line, theirs] of rows) {
      if (of !== filter) continue;
      const { outcome, pattern = '', address } = verdictOf(line);
      const charged = address && formatAddress(address);
      const wanted = theirs === null ? null : formatted(theirs);
      if ((outcome === 'failure' ? (charged ?? null) : null) === wanted) {
        agree++;
        continue;
      }
      const ours = [outcome, pattern, charged ?? ''].filter((part) => part !== '').join(' ');
      differences.push({
        filter,
        line,
        ours,
        theirs,
        reason: reasonOf(filter, line, outcome, theirs, pattern, version),
      });
    }
  }
  return { agree, differences };
}

function formatted(text: string): string {
  const address = parseAddress(text);
  return address ? formatAddress(address) : text;
}

const doubt = 'a client may have written one of its addresses: the line is in doubt';
const connection = 'it is about the connection, no failure by itself';

/** Lines that fail2ban counts and we do not: filter, our verdict, a piece of the line. */
const known: readonly [filter: string, outcome: string, piece: string, reason: string][] = [
  ['sshd', 'no-address', 'port 1 ssh2 (serial 0)', doubt],
  ['sshd', 'no-address', 'from 8.8.8.8 port 1 ssh2', doubt],
  ['sshd', 'no-address', 'Change of username or service not allowed', doubt],
  [
    'sshd',
    'no-failure',
    'Accepted password for',
    'it is a login that succeeded, after failures that fail2ban holds against it',
  ],
  ['sshd', 'no-failure', 'Connection closed by invalid user', connection],
  ['sshd', 'no-failure', 'Connection from', connection],
  ['sshd', 'bad-address', '192.0.2.300', 'what stands there is no address'],
  ['apache-badbots', 'no-pattern', 'not \\"EmailCollector', "the quote before the name is the client's"],
  ['exim', 'no-pattern', 'sender verify fail', 'a sender that cannot be verified is no attack by itself'],
  ['exim', 'no-failure', 'set_id=y) [192.0.2.7])', doubt],
  ['asterisk', 'no-pattern', 'Ext. x: 8.8.8.8', doubt],
  ['asterisk', 'no-failure', "failed for '198.51.100.9:5060'", doubt],
  ['asterisk', 'no-failure', 'RemoteAddress="IPV4/UDP/198.51.100', doubt],
  ['nginx-botsearch', 'no-pattern', 'client: 203.0.113.66', doubt],
  ['vsftpd', 'no-pattern', 'FAIL LOGIN: Client "8.8.8.8", "x]', doubt],
  ['vsftpd', 'no-pattern', '"x] FAIL LOGIN: Client "8.8.8.8"', doubt],
  ['apache-nohome', 'no-pattern', 'referer: https://example.org/~alice/', "the '~' stands in the client's referer"],
  ['php-url-fopen', 'no-pattern', '"http://example.org/?a=http://b HTTP/"', "it stands in the client's referer"],
  ['haproxy-http-auth', 'no-pattern', '"GET /<NOSRV> -1/-1/-1/-1/0 401', "it stands in the client's request"],
  ['3proxy', 'ignored', '192.0.2.7:28783 0.0.0.0:0', doubt],
  ['roundcube-auth', 'ignored', '. AUTHENTICATE PLAIN: x', doubt],
  ['roundcube-auth', 'no-pattern', 'Could not connect to', 'no server answered: nobody was refused'],
  ['sendmail-reject', 'no-address', '... User unknown', 'the address is taken from the end of the message only'],
  ['roundcube-auth', 'ignored', 'x from 192.0.2.7. AUTHENTICATE PLAIN: ', doubt],
  ['roundcube-auth', 'ignored', '(X-Forwarded-For: x from 203.0.113.66.', doubt],
];

function reasonOf(
  filter: string,
  line: string,
  outcome: Verdict['outcome'],
  theirs: string | null,
  pattern: string,
  version: string,
): string | undefined {
  if (theirs === null)
    return outcome === 'failure' ? `fail2ban ${version} does not know what ${pattern} takes` : undefined;
  if (outcome === 'counted-before') return 'one attempt counts once, and it has been counted';
  if (outcome === 'held') return "a PAM module's verdict waits for the service's own";
  if (outcome === 'ignored' && pattern.endsWith('-ambiguous')) return doubt;
  if (outcome === 'failure') return "fail2ban takes an address out of a client's text, or one with its port";
  return known.find(([of, said, piece]) => of === filter && said === outcome && line.includes(piece))?.[3];
}
