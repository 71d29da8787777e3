/**
 * The record that the launch stage, or at a reload a client, hands to the core: CoreConfig as JSON
 * in a sealed memory file. No dependencies, because this file is part of the core. The sender has
 * checked it already; every field and bound is checked again here, in separate code, so that a
 * mistake there does not reach the engine or the kernel. One thing is not checked again: that a
 * filter's program comes from the compiler.
 */
import { closeSync, fstatSync, readFileSync } from 'node:fs';
import * as limits from '../limits.ts';
import type { CoreConfig } from '../types.ts';
import { parseCidr } from './address.ts';

/** Throws if `value`, which stands at `at`, is not valid. */
type Check = (value: unknown, at: string) => void;

const all =
  (isIt: (value: never) => boolean): Check =>
  (value, at) => {
    if (!isIt(value as never)) throw new Error(`the configuration record has no usable ${at === '' ? 'form' : at}`);
  };

const flag = all((value: unknown) => typeof value === 'boolean');
const text = (bytesMax: number, pattern = /^[^\0]*$/): Check =>
  all((value: unknown) => typeof value === 'string' && Buffer.byteLength(value) <= bytesMax && pattern.test(value));
const whole = (least: number, most: number): Check =>
  all((value: number) => Number.isInteger(value) && value >= least && value <= most);
const oneOf = (...words: readonly string[]): Check => all((value: string) => words.includes(value));
const either =
  (isFirst: (value: unknown) => boolean, other: Check): Check =>
  (value, at) => {
    if (!isFirst(value)) other(value, at);
  };
const list =
  (each: Check, most: number): Check =>
  (value, at) => {
    all((items: unknown[]) => Array.isArray(items) && items.length <= most)(value, at);
    for (const [index, item] of (value as unknown[]).entries()) each(item, `${at}[${index}]`);
  };
/** Exactly these fields; those in `optional` may be absent. */
const fields =
  (required: Record<string, Check>, optional: Record<string, Check> = {}): Check =>
  (value, at) => {
    const rows = { ...required, ...optional };
    const isKnown = (name: string): boolean => Object.hasOwn(rows, name);
    all((it: object) => it instanceof Object && !Array.isArray(it) && Object.keys(it).every(isKnown))(value, at);
    for (const [name, check] of Object.entries(rows)) {
      const field = (value as Record<string, unknown>)[name];
      if (field !== undefined || Object.hasOwn(required, name)) check(field, at === '' ? name : `${at}.${name}`);
    }
  };

const name = text(48, /^[A-Za-z0-9][A-Za-z0-9_.-]*$/);
const path = text(limits.pathBytesMax, /^\/[^\0]*$/);
/** A log path: the engine's file source accepts no others. */
const logPath = all((value: string) => /^\/[^\0]*[^\0/]$/.test(value) && !value.split('/').includes('..'));
const seconds = whole(1, limits.banSecondsMax);
const banSeconds = either((value) => value === -1, seconds);
const network = all((value: string) => {
  const parsed = typeof value === 'string' ? parseCidr(value, 'refuse') : '';
  return typeof parsed === 'object' && parsed.prefix > 0;
});
const all32 = 0xffff_ffff;

const escalation = fields({
  bantimes: list(banSeconds, limits.repeatBantimesMax),
  randomSeconds: whole(0, limits.banSecondsMax),
  memorySeconds: whole(0, 2 ** 31 - 1),
  allJails: flag,
});

const port = whole(0, 65_535);
const terms = list(
  list(
    either((value) => typeof value === 'string', list(text(4096), 1024)),
    2,
  ),
  1024,
);

const jail = fields(
  {
    name: text(limits.jailNameMax, /^[A-Za-z0-9][A-Za-z0-9_.-]*$/),
    filter: name,
    mode: text(48),
    logpath: list(logPath, 64),
    maxretry: whole(1, limits.maxretryMax),
    findtime: seconds,
    bantime: banSeconds,
    escalation: either((value) => value === null, escalation),
    ipv6Prefix: whole(32, 128),
    ignoreip: list(network, limits.ignoredNetworksMax),
    ignoreself: flag,
    network: flag,
    ports: list(fields({ first: port, last: port }), 64),
    protocols: list(oneOf('tcp', 'udp'), 2),
    hooks: list(oneOf('input', 'forward'), 2),
    action: oneOf('drop', 'reject'),
  },
  {
    journal: fields({ text: text(all32), groups: list(fields({ terms }, { system: flag }), 1024) }),
    ipv4Prefix: whole(24, 32),
    format: oneOf('auto', 'plain', 'docker', 'cri', 'json'),
    message: text(limits.messageFieldBytesMax),
    timezone: list(fields({ from: whole(-(2 ** 53), 2 ** 53), offset: whole(-86_400, 86_400) }), 16),
  },
);

const filter = fields({
  name,
  patterns: list(text(256), all32),
  ignore: list(text(256), all32),
  program: text(2 * limits.programBytesMax, /^[A-Za-z0-9+/]*={0,2}$/),
});

const lengths = (bits: number): Check => list(whole(1, bits), limits.listLengthsMax);
const elements = whole(0, limits.listEntriesMax.ban);
const addressList = fields({
  file: path,
  use: oneOf('ban', 'ignore'),
  jail: either((value) => value === '', name),
  lengths: fields({ 4: lengths(32), 6: lengths(128) }),
  elements: fields({ 4: elements, 6: elements }),
});

const record = fields(
  {
    path: text(all32),
    memory: fields({ ceilingBytes: whole(0, 2 ** 53), evictionPolicy: oneOf(...limits.evictionPolicies) }),
    firewall: fields({
      backend: oneOf('auto', 'nftables', 'iptables', 'ipset', 'xdp', 'log-only'),
      table: text(31, /^[A-Za-z][A-Za-z0-9_-]*$/),
      allowLogOnly: flag,
      interfaces: list(text(15, /^[\x21-\x7e]+$/), 64),
      keepBans: flag,
      bansMax: whole(0, 2 ** 53),
    }),
    control: fields({ enabled: flag, path, groupId: whole(-1, all32) }),
    metrics: fields({ enabled: flag, bind: text(limits.addressTextMax), port }),
    state: fields({ enabled: flag, path, intervalSeconds: whole(1, 3_600) }),
    log: fields({ level: oneOf('error', 'warn', 'info', 'debug'), format: oneOf('text', 'json') }, { syslog: path }),
    audit: fields({ keepSeconds: seconds, bytes: whole(1, 2 ** 53), journal: flag }),
    journal: fields({ directories: list(path, 64) }),
    confinement: fields({ seccomp: oneOf('enforce', 'log', 'off'), landlock: flag, read: list(path, 64) }),
    filters: list(filter, limits.filtersMax),
    jails: list(jail, limits.jailsMax),
  },
  // Made by the launch stage itself.
  { handed: () => {}, lists: list(addressList, limits.listsMax) },
);

const isUnique = (rows: readonly { name: string }[]): boolean =>
  new Set(rows.map((row) => row.name)).size === rows.length;

/** Parses the record; throws for invalid text, with the field that is wrong. */
export function decodeCoreConfig(text: string): CoreConfig {
  const value = JSON.parse(text) as CoreConfig;
  record(value, '');
  all(isUnique)(value.jails, 'jails: a name occurs twice');
  all(isUnique)(value.filters, 'filters: a name occurs twice');
  return value;
}

/** Reads the record from an open file, from its beginning, and closes it. */
export function readCoreConfig(fd: number): CoreConfig {
  try {
    const { size } = fstatSync(fd);
    if (size === 0 || size > limits.coreConfigBytesMax) throw new Error(`configuration record of ${size} bytes`);
    // Opened again: the position of our descriptor is at the end.
    return decodeCoreConfig(readFileSync(`/proc/self/fd/${fd}`, 'utf8'));
  } finally {
    closeSync(fd);
  }
}
