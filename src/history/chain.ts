/**
 * The form of the audit log. Each line is a JSON object that ends with a SHA-256 over the hash of
 * the line before and its own text without the hash. The first line of a file has the number and
 * the hash of the line before it. So no line can be changed, removed or moved without breaking the
 * chain. A small file, the seal, has number and hash of the newest line, and so shows if lines were
 * cut off the end. Whoever may write the files can forge a whole new chain; a copy of its hashes
 * elsewhere (the journal, an export) shows that. Claim: R-01d.
 */
import { native } from '../native.ts';

/** What the very first line follows. */
export const noHash = '0'.repeat(64);
/** Size of the seal file: it is overwritten in one write, within one page. */
export const sealBytes = 256;

/** The first line of a file. */
export interface Header {
  fail2zig: 'audit';
  version: number;
  /** Epoch seconds. */
  at: number;
  /** Number and hash of the line before. */
  after: number;
  previous: string;
}

/** What the log held when it was sealed. */
export interface Seal {
  /** Number of the oldest record. */
  from: number;
  /** Number and hash of the newest record. */
  number: number;
  head: string;
}

type Hash = (text: string) => string;

/** The line of a JSON object after `previous`, and its hash. */
export function chained(previous: string, body: string, hashOf: Hash = native.sha256) {
  const hash = hashOf(previous + body);
  return { line: `${body.slice(0, -1)},"hash":"${hash}"}\n`, hash };
}

/** A line's object and its hash; undefined for a line of another form. */
export function unchained(line: string): { body: string; hash: string } | undefined {
  const [, body, hash] = /^(\{.*),"hash":"([0-9a-f]{64})"\}$/.exec(line) ?? [];
  return body === undefined ? undefined : { body: `${body}}`, hash: hash! };
}

/** A line as the first of a file; undefined for any other line. */
export function headerOf(line: string): Header | undefined {
  const body = unchained(line)?.body ?? '';
  return body.startsWith('{"fail2zig":"audit",') ? parsed<Header>(body) : undefined;
}

function parsed<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

export const headerBody = (header: Omit<Header, 'fail2zig' | 'version'>): string =>
  JSON.stringify({ fail2zig: 'audit', version: 2, ...header });

/** The content of the seal file. */
export const sealText = ({ from, number, head }: Seal, hashOf?: Hash): string =>
  `${chained(noHash, JSON.stringify({ from, number, head }), hashOf)
    .line.slice(0, -1)
    .padEnd(sealBytes - 1)}\n`;

/** The seal in this content; undefined if any byte is wrong. */
export function sealOf(text: string, hashOf?: Hash): Seal | undefined {
  const parts = unchained(text.trimEnd());
  const seal = parts && parsed<Seal>(parts.body);
  return seal !== undefined && sealText(seal, hashOf) === text ? seal : undefined;
}

/** The path of the log's file that was renamed `age` times. */
export const fileAt = (path: string, age: number): string => (age === 0 ? path : `${path}.${age}`);
export const sealPath = (path: string): string => `${path}.seal`;
