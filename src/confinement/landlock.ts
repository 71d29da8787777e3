/**
 * Which files the core may access, enforced by the kernel's Landlock. Not required: on a kernel
 * without it the core runs anyway, and `status` says so. Applied in the launch stage, since it
 * binds the calling thread and what that becomes by execve. Claim: X-files.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { native } from '../native.ts';

/** linux/landlock.h: access rights for files; the comment gives the version that added each. */
const fs = {
  execute: 0x1,
  writeFile: 0x2,
  readFile: 0x4,
  readDirectory: 0x8,
  removeDirectory: 0x10,
  removeFile: 0x20,
  makeCharacterDevice: 0x40,
  makeDirectory: 0x80,
  makeFile: 0x100,
  makeSocket: 0x200,
  makeFifo: 0x400,
  makeBlockDevice: 0x800,
  makeLink: 0x1000,
  refer: 0x2000, // 2
  truncate: 0x4000, // 3
  control: 0x8000, // 5: ioctl of devices
} as const;
const fsBase = 0x1fff;
/** Rights that may be granted for a file that is not a directory. */
const ofFiles = fs.execute | fs.writeFile | fs.readFile | fs.truncate | fs.control;
const tcp = { bind: 1, connect: 2 } as const; // 4
const scopes = { abstractSockets: 1, signals: 2 } as const; // 6
const ruleType = { path: 1, port: 2 } as const;
/** Linux's O_PATH, for which Node has no constant. */
const pathOnly = 0x20_0000;
/** errno */
const EBADFD = 77;
const attributesBytes = 24;
const ruleBytes = 16;

export const rights = {
  read: fs.readFile | fs.readDirectory,
  /** What execve needs of the runtime. */
  run: fs.readFile | fs.execute,
  /** Our own files are created, changed and removed. */
  keep:
    fs.readFile |
    fs.readDirectory |
    fs.writeFile |
    fs.truncate |
    fs.makeFile |
    fs.makeSocket |
    fs.removeFile |
    fs.makeDirectory,
  /** An existing file. */
  write: fs.readFile | fs.writeFile | fs.truncate,
} as const;

/** A path, and the rights for it and everything below it. */
export interface Permission {
  path: string;
  may: number;
}

function handledFiles(version: number): number {
  return fsBase | (version >= 2 ? fs.refer : 0) | (version >= 3 ? fs.truncate : 0) | (version >= 5 ? fs.control : 0);
}

function must(what: string, result: number): number {
  if (result < 0) throw new Error(`Landlock: ${what} (errno ${-result})`);
  return result;
}

function rule(may: number, object: number): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(ruleBytes));
  bytes.setUint32(0, may, true);
  bytes.setUint32(8, object, true);
  return new Uint8Array(bytes.buffer);
}

/** Grants `may` at `path`; a path that does not exist is skipped. */
function allowPath(ruleset: number, { path, may }: Permission, handled: number): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, pathOnly);
  } catch {
    return;
  }
  try {
    const usable = (fstatSync(descriptor).isDirectory() ? may : may & ofFiles) & handled;
    if (usable === 0) return;
    const result = native.landlockRule(ruleset, ruleType.path, rule(usable, descriptor));
    // A pipe or socket is not part of a file system and is not restricted.
    if (result !== -EBADFD) must(path, result);
  } finally {
    closeSync(descriptor);
  }
}

/** The kernel's ABI version of Landlock, 0 if it has none. */
export function landlockVersion(): number {
  return Math.max(native.landlockVersion(), 0);
}

/**
 * Restricts the calling thread to `permissions` and to listening at `port` (0 = none), permanently.
 */
export function restrictFiles(version: number, permissions: Iterable<Permission>, port: number): void {
  const handled = handledFiles(version);
  const attributes = new DataView(new ArrayBuffer(attributesBytes));
  attributes.setUint32(0, handled, true);
  if (version >= 4) attributes.setUint32(8, tcp.bind | tcp.connect, true);
  if (version >= 6) attributes.setUint32(16, scopes.abstractSockets | scopes.signals, true);
  const size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  const ruleset = must('ruleset', native.landlockRuleset(new Uint8Array(attributes.buffer, 0, size)));
  try {
    for (const permission of permissions) allowPath(ruleset, permission, handled);
    if (version >= 4 && port !== 0) must('port', native.landlockRule(ruleset, ruleType.port, rule(tcp.bind, port)));
    must('restrict', native.landlockRestrict(ruleset));
  } finally {
    closeSync(ruleset);
  }
}
