/**
 * The files of the audit log: lines in the form of chain.ts, which are appended and never changed,
 * and the seal. The newest file is at `path`; when it is full or old, all files are renamed to the
 * next number. Input: our own records; at the start whatever is on disk. Invariant: numbers and
 * hashes continue over files, restarts and a full disk: what the disk did not take is finished
 * first. Nothing is removed before the seal says where the log begins without it. A record notes a
 * line that a crash cut off. If the log lacks something that the seal names, the caller is told
 * once, and the numbers keep a gap. When full: the oldest file is removed. Claim: R-01d.
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
  /** The group that may read it beside root; undefined = none. */
  groupId?: number | undefined;
  /** Size of all files together. */
  bytes: number;
  /** Records are removed after this time. */
  keepSeconds: number;
  log: Pick<Logger, 'error' | 'warn'>;
  /** Epoch milliseconds. */
  now: () => number;
  /** Called when the log was sealed. */
  sealed: (seal: Seal) => void;
}

/** The end of a file. */
interface End {
  number: number;
  /** Absent if the last event is not chained: a record of an earlier version. */
  hash?: string;
  /** If the file has only its first line: the hash that it follows. */
  previous?: string;
  /** The text after the last line of the chain. */
  torn: string;
  /** The last line has no line feed. */
  isOpen?: boolean;
}

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR, O_WRONLY } = constants;

export class AuditFile {
  readonly #options: AuditOptions;
  /** Read before the confinement, which forbids it. */
  readonly #uid = process.getuid!();
  #file: FileHandle | undefined;
  #sealFile: FileHandle | undefined;
  #bytes = 0;
  /** When the newest file was created, epoch milliseconds. */
  #begun = 0;
  #number = 0;
  #hash = noHash;
  /** The rest of an unfinished write. */
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
   * Continues where the last run ended; returns what it found there, which is already recorded. If
   * it throws, it may be called again.
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
      log.warn('the file in the place of the audit log has no chain and was renamed', { path: fileAt(path, 1) });
      await this.#shift();
    } else if (newest !== undefined) await this.#reopen(newest);
    const from = await this.#oldest();
    this.#sealed = { from: Math.max(seal?.from ?? 0, from), number: -1, head: '' };
    const found: Happened[] = [];
    if (newest?.hash !== undefined && torn !== '')
      found.push({ event: 'recovered', bytes: torn.length, torn: native.sha256(torn) });
    if (isMissing(seal, end, from)) found.push({ event: 'missing', last });
    // A cut-off line is completed in its own file, before anything else is written.
    if (this.#file === undefined) await this.ready();
    else await this.#finish();
    await this.append(found.map((what) => JSON.stringify({ at: now() / 1000, ...what })));
    await this.ready();
    await this.seal();
    return found;
  }

  /** Continues the newest file. */
  async #reopen({ torn, isOpen }: End): Promise<void> {
    const { path } = this.#options;
    const file = await open(path, O_WRONLY | O_APPEND | O_NOFOLLOW);
    this.#file = file;
    this.#bytes = (await file.stat()).size;
    this.#begun = 1000 * ((await firstOf(path))?.at ?? 0);
    if (isOpen || torn !== '') this.#rest = Buffer.from('\n');
    await this.#share(file);
  }

  /** Makes sure that the next lines can be written; throws if the disk refuses. */
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

  /** Numbers and appends JSON objects; call `ready` before. They are accepted at once. */
  async append(bodies: readonly string[]): Promise<void> {
    const lines = bodies.map((body) => this.#line(`{"number":${++this.#number},${body.slice(1)}`));
    this.#rest = Buffer.from(lines.join(''), 'latin1');
    await this.#finish();
  }

  /** Writes to the seal what the log holds on disk by now. */
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

  /** Writes the rest of the last lines; on a full disk a part stays for later. */
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

  /** Renames each file to the next number, the newest too. */
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
    // A tenth to fill the file and a tenth until the next check complete the time.
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

  /** Number of the oldest record in the files that stay. */
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

/** Whether the log holds less than its seal says; without a seal, whether it has any record. */
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

/** The end of a file; undefined if there is none, or no line in it. */
async function endOf(path: string): Promise<End | undefined> {
  const file = await openToRead(path);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - limits.auditEndBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(limits.auditEndBytes), 0, limits.auditEndBytes, start);
    const lines = buffer.toString('latin1', 0, bytesRead).split('\n');
    // The file was created, but its first line is incomplete.
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
    // Only the last line may lack its line feed: it counts if it follows the line before.
    const isOpen = at === lines.length - 1;
    const before = isOpen ? unchained(lines[at - 1] ?? '')?.hash : undefined;
    if (isOpen && (before === undefined || chained(before, body).hash !== hash)) continue;
    const header = headerOf(lines[at]!);
    const number = header?.after ?? eventOf(body)?.number ?? 0;
    return { number, hash, torn: lines.slice(at + 1).join('\n'), isOpen, ...(header && { previous: header.previous }) };
  }
  return { number: lines.map(eventOf).findLast((event) => event !== undefined)?.number ?? 0, torn: '' };
}
