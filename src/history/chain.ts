/**
 * The form of the audit log. Each line is a JSON object that ends with a SHA-256 over the hash of
 * the line before it and its own text without the hash; the first line of a file names the number
 * and the hash that it follows. So no line is changed, left out or moved without breaking the
 * chain; what is cut off its end the seal shows, a small file that names number and hash of the
 * newest line. Whoever may write the files can make a whole new chain: what is known of it
 * elsewhere (the journal, an export) shows that. Claim: R-01d.
 */
import { native } from '../native.ts';

/** What the first line ever follows. */
export const noHash = '0'.repeat(64);
/** Bytes of the file of the seal: it is written over in one write, within one page. */
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
  /** Number and hash of the newest. */
  number: number;
  head: string;
}

type Hash = (text: string) => string;

/** The line of a JSON object behind `previous`, and its hash. */
export function chained(previous: string, body: string, hashOf: Hash = native.sha256) {
  const hash = hashOf(previous + body);
  return { line: `${body.slice(0, -1)},"hash":"${hash}"}\n`, hash };
}

/** A line's object, and the hash it says; undefined for a line of another form. */
export function unchained(line: string): { body: string; hash: string } | undefined {
  const [, body, hash] = /^(\{.*),"hash":"([0-9a-f]{64})"\}$/.exec(line) ?? [];
  return body === undefined ? undefined : { body: `${body}}`, hash: hash! };
}

/** What a line says as the first of a file; undefined for any other. */
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

/** The content of the file of the seal. */
export const sealText = ({ from, number, head }: Seal, hashOf?: Hash): string =>
  `${chained(noHash, JSON.stringify({ from, number, head }), hashOf)
    .line.slice(0, -1)
    .padEnd(sealBytes - 1)}\n`;

/** The seal of such a content; undefined where a byte of it is another. */
export function sealOf(text: string, hashOf?: Hash): Seal | undefined {
  const parts = unchained(text.trimEnd());
  const seal = parts && parsed<Seal>(parts.body);
  return seal !== undefined && sealText(seal, hashOf) === text ? seal : undefined;
}

/** The file of the log at `path` that was the newest so many files ago. */
export const fileAt = (path: string, age: number): string => (age === 0 ? path : `${path}.${age}`);
export const sealPath = (path: string): string => `${path}.seal`;
