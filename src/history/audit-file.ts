/**
 * The files of the audit log: lines of chain.ts, appended and never changed, and the seal. The
 * newest file is at `path`; those before it move up when it is full or old. Input: bodies of ours;
 * at the start whatever stands there. Invariant: numbers and hashes go on over files, restarts and
 * a full disk: what it did not take is finished first. Nothing is removed before the seal says
 * where the log begins without it. What a crash cut off is closed by a record; what the seal names
 * and the log has not is told to the caller, once, and stays a gap in the numbers. When full: the
 * oldest file goes. Claim: R-01d.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import * as limits from '../limits.ts';
import type { Logger } from '../log.ts';
import { native } from '../native.ts';
import {
  chained,
  fileAt,
  headerBody,
  headerOf,
  noHash,
  type Seal,
  sealBytes,
  sealOf,
  sealPath,
  sealText,
  unchained,
} from './chain.ts';
import { eventOf, type Happened, openToRead } from './event.ts';

export interface AuditOptions {
  path: string;
  /** Who may read it beside root; undefined = nobody. */
  groupId?: number | undefined;
  /** Of all files. */
  bytes: number;
  /** No record is kept for longer. */
  keepSeconds: number;
  log: Pick<Logger, 'error' | 'warn'>;
  /** Epoch milliseconds. */
  now: () => number;
  /** The log is sealed. */
  sealed: (seal: Seal) => void;
}

/** How a file ends. */
interface End {
  number: number;
  /** Absent where its last event is in no chain: records of an earlier version. */
  hash?: string;
  /** Of a file that holds its first line only: the hash that this follows. */
  previous?: string;
  /** What stands behind the last line of the chain. */
  torn: string;
  /** The last line lacks its end. */
  isOpen?: boolean;
}

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR, O_WRONLY } = constants;

export class AuditFile {
  readonly #options: AuditOptions;
  /** Asked for before the confinement, which does not allow it. */
  readonly #uid = process.getuid!();
  #file: FileHandle | undefined;
  #sealFile: FileHandle | undefined;
  #bytes = 0;
  /** When the newest file was begun, epoch milliseconds. */
  #begun = 0;
  #number = 0;
  #hash = noHash;
  /** What a write has not finished. */
  #rest = Buffer.alloc(0);
  #sealed: Seal = { from: 1, number: 0, head: '' };

  constructor(options: AuditOptions) {
    this.#options = options;
  }

  /** Number of the last record. */
  get number(): number {
    return this.#number;
  }

  /** Records since the last seal. */
  get unsealed(): number {
    return this.#number - this.#sealed.number;
  }

  /**
   * Goes on where the last run ended; returns what it found there, which is recorded by then. Where
   * it throws it may be called again.
   */
  async start(): Promise<Happened[]> {
    const { path, log, now } = this.#options;
    await this.close();
    this.#rest = Buffer.alloc(0);
    const seal = await this.#openSeal();
    const newest = await endOf(path);
    const end = newest ?? (await endOf(fileAt(path, 1)));
    const { number: last = 0, hash = noHash, torn = '' } = end ?? {};
    this.#hash = hash;
    this.#number = Math.max(last, seal?.number ?? 0);
    if (newest !== undefined && newest.hash === undefined) {
      log.warn('what stood in the place of the audit log has no chain and is kept aside', { path: fileAt(path, 1) });
      await this.#shift();
    } else if (newest !== undefined) await this.#reopen(newest);
    const from = await this.#oldest();
    this.#sealed = { from: Math.max(seal?.from ?? 0, from), number: -1, head: '' };
    const found: Happened[] = [];
    if (newest?.hash !== undefined && torn !== '')
      found.push({ event: 'recovered', bytes: torn.length, torn: native.sha256(torn) });
    if (isMissing(seal, end, from)) found.push({ event: 'missing', last });
    // What is closed is closed in the same file, before anything else is written.
    if (this.#file === undefined) await this.ready();
    else await this.#finish();
    await this.append(found.map((what) => JSON.stringify({ at: now() / 1000, ...what })));
    await this.ready();
    await this.seal();
    return found;
  }

  /** Goes on with the newest file. */
  async #reopen({ torn, isOpen }: End): Promise<void> {
    const { path } = this.#options;
    const file = await open(path, O_WRONLY | O_APPEND | O_NOFOLLOW);
    this.#file = file;
    this.#bytes = (await file.stat()).size;
    this.#begun = 1000 * ((await firstOf(path))?.at ?? 0);
    if (isOpen || torn !== '') this.#rest = Buffer.from('\n');
    await this.#share(file);
  }

  /** Makes sure that the next lines have a place; throws where the disk refuses. */
  async ready(): Promise<void> {
    const { bytes, keepSeconds, now } = this.#options;
    await this.#finish();
    if (this.#file === undefined) return this.#create();
    const isOld = now() - this.#begun > (keepSeconds * 1000) / limits.auditFilesMax;
    if (!isOld && this.#bytes < bytes / limits.auditFilesMax) return;
    await this.#file.sync();
    await this.#removeOld();
    await this.#shift();
    await this.#create();
    await this.#removeOld();
  }

  /** Numbers and appends JSON objects; call `ready` before. They are taken at once. */
  async append(bodies: readonly string[]): Promise<void> {
    const lines = bodies.map((body) => this.#line(`{"number":${++this.#number},${body.slice(1)}`));
    this.#rest = Buffer.from(lines.join(''), 'latin1');
    await this.#finish();
  }

  /** Says in the seal what the log holds by now, as far as it is on disk. */
  async seal(from = this.#sealed.from): Promise<void> {
    const seal = { from, number: this.#number, head: this.#hash };
    if (this.#rest.length > 0 || sealText(seal) === sealText(this.#sealed)) return;
    await this.#file?.sync();
    await this.#sealFile!.write(sealText(seal), 0);
    this.#sealed = seal;
    this.#options.sealed(seal);
  }

  async close(): Promise<void> {
    await this.#file?.close();
    await this.#sealFile?.close();
    this.#file = undefined;
    this.#sealFile = undefined;
  }

  #line(body: string): string {
    const { line, hash } = chained(this.#hash, body);
    this.#hash = hash;
    return line;
  }

  /** Writes what is left of the last lines; a full disk leaves a part of it for later. */
  async #finish(): Promise<void> {
    while (this.#rest.length > 0) {
      const { bytesWritten } = await this.#file!.write(this.#rest);
      this.#bytes += bytesWritten;
      this.#rest = this.#rest.subarray(bytesWritten);
    }
  }

  async #create(): Promise<void> {
    const { path, now } = this.#options;
    const file = await open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CREAT | O_EXCL, 0o600);
    this.#file = file;
    this.#bytes = 0;
    this.#begun = now();
    const at = this.#begun / 1000;
    this.#rest = Buffer.from(this.#line(headerBody({ at, after: this.#number, previous: this.#hash })));
    await this.#share(file);
    await this.#finish();
  }

  /** Each file moves up, the newest too. */
  async #shift(): Promise<void> {
    const { path } = this.#options;
    for (let age = limits.auditFilesMax - 1; age >= 0; age--)
      await rename(fileAt(path, age), fileAt(path, age + 1)).catch(unlessAbsent);
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Removes files that are too many or too old. */
  async #removeOld(): Promise<void> {
    const { path, keepSeconds, now } = this.#options;
    // With the tenth that it took to fill and the one until the next look that makes all of it.
    const oldest = now() - 800 * keepSeconds;
    const old: string[] = [];
    for (let age = limits.auditFilesMax; age >= 1; age--) {
      const file = fileAt(path, age);
      const found = await stat(file).catch(unlessAbsent);
      if (found && (age === limits.auditFilesMax || found.mtimeMs < oldest)) old.push(file);
    }
    if (old.length === 0) return;
    await this.seal(Math.max(this.#sealed.from, await this.#oldest(new Set(old))));
    for (const file of old) await unlink(file);
  }

  /** Number of the oldest record but for files that go. */
  async #oldest(without = new Set<string>()): Promise<number> {
    for (let age = limits.auditFilesMax; age >= 0; age--) {
      const file = fileAt(this.#options.path, age);
      const first = without.has(file) ? undefined : await firstOf(file);
      if (first !== undefined) return first.after + 1;
    }
    return this.#number + 1;
  }

  async #openSeal(): Promise<Seal | undefined> {
    const file = await open(sealPath(this.#options.path), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    this.#sealFile = file;
    await this.#share(file);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(sealBytes), 0, sealBytes, 0);
    return sealOf(buffer.toString('latin1', 0, bytesRead));
  }

  /** Lets the group of the control socket read a file. */
  async #share(file: FileHandle): Promise<void> {
    const { groupId, log } = this.#options;
    if (groupId === undefined) return;
    try {
      await file.chown(this.#uid, groupId);
      await file.chmod(0o640);
    } catch (error) {
      log.warn('only root can read the records', { groupId, error: (error as Error).message });
    }
  }
}

function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** Whether the log has less than its seal names; without a seal, whether it has any record. */
function isMissing(seal: Seal | undefined, end: End | undefined, from: number): boolean {
  if (seal === undefined) return end?.hash !== undefined && end.previous === undefined;
  if (end === undefined || seal.from < from || end.number < seal.number) return true;
  return end.number === seal.number && ![end.hash, end.previous].includes(seal.head);
}

/** The first line of a file that belongs to the chain. */
async function firstOf(path: string): Promise<ReturnType<typeof headerOf>> {
  const file = await openToRead(path);
  if (file === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0);
    return headerOf(buffer.toString('latin1', 0, bytesRead).split('\n', 1)[0]!);
  } finally {
    await file.close();
  }
}

/** How a file ends; undefined where there is none, or none with a line. */
async function endOf(path: string): Promise<End | undefined> {
  const file = await openToRead(path);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - limits.auditEndBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(limits.auditEndBytes), 0, limits.auditEndBytes, start);
    const lines = buffer.toString('latin1', 0, bytesRead).split('\n');
    // The file was made, and the first line did not get far.
    if (start === 0 && lines.length === 1 && '{"fail2zig":"audit"'.startsWith(lines[0]!.slice(0, 19))) {
      await unlink(path);
      return undefined;
    }
    return endOfLines(start === 0 ? lines : lines.slice(1));
  } finally {
    await file.close();
  }
}

function endOfLines(lines: readonly string[]): End {
  for (let at = lines.length - 1; at >= 0; at--) {
    const parts = unchained(lines[at]!);
    if (parts === undefined) continue;
    const { body, hash } = parts;
    // Only the last one has no end: it counts where it follows the line before.
    const isOpen = at === lines.length - 1;
    const before = isOpen ? unchained(lines[at - 1] ?? '')?.hash : undefined;
    if (isOpen && (before === undefined || chained(before, body).hash !== hash)) continue;
    const header = headerOf(lines[at]!);
    const number = header?.after ?? eventOf(body)?.number ?? 0;
    return { number, hash, torn: lines.slice(at + 1).join('\n'), isOpen, ...(header && { previous: header.previous }) };
  }
  return { number: lines.map(eventOf).findLast((event) => event !== undefined)?.number ?? 0, torn: '' };
}
