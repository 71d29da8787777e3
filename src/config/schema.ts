/**
 * What may stand in fail2zig.toml: every section, key and type of value. Strict: an unknown key is
 * refused. zod describes the shape (its smaller variant: the other one takes three times as long to
 * start); the parsers of values.ts define the meaning of each value and the text of its refusal.
 */
import * as z from 'zod/mini';
import { bansMaxLargest, evictionPolicies, jailNameMax, maxretryMax } from '../limits.ts';
import { parseDuration, parseInterval } from './duration.ts';
import { bantimeFormulas, parseFactor, parseMultipliers } from './escalation.ts';
import { parseFleetInterval, parseMachine, parseSpoolSize } from './fleet-values.ts';
import { parseJournalDirectories, parseJournalMatch } from './journal-match.ts';
import {
  auditBytesMax,
  auditBytesMin,
  ceilingBytesDefault,
  ceilingBytesMax,
  ceilingBytesMin,
  stateIntervalSecondsMax,
} from './limits.ts';
import type { Parsed } from './parsed.ts';
import { parsePorts } from './port.ts';
import { parseSize } from './size.ts';
import { parseTimezone } from './timezone.ts';
import {
  parseBind,
  parseBoolean,
  parseDirectories,
  parseDirectory,
  parseFilePath,
  parseFilterName,
  parseIgnored,
  parseInteger,
  parseInterfaces,
  parseLogPaths,
  parseLogTags,
  parseMessageField,
  parseName,
  parseSampleLines,
  parseServerUrl,
  parseSocketPath,
  parseStatePath,
  parseTableName,
  parseText,
  parseWord,
  parseWords,
} from './values.ts';

// zod would compile its checks with `new Function`; a program that root runs must not create code
// from strings.
z.config({ jitless: true });

/** What zod's issue for a refused value has besides its message. */
export interface RefusedParams {
  hint?: string;
}

/** An optional setting that one of our parsers reads. */
function setting<T>(parse: (value: unknown) => Parsed<T>) {
  return z.optional(
    z.pipe(
      z.unknown(),
      z.transform((value: unknown, context): T => {
        const parsed = parse(value);
        if (parsed.ok) return parsed.value;
        for (const { reason, hint, index } of [parsed, ...(parsed.more ?? [])]) {
          const params: RefusedParams = { hint };
          const path = index === undefined ? [] : [index];
          context.issues.push({ code: 'custom', message: reason, params, path, input: value });
        }
        return z.NEVER;
      }),
    ),
  );
}

export const backendNames = ['auto', 'nftables', 'iptables', 'ipset', 'xdp', 'log-only'] as const;
export const logLevels = ['error', 'warn', 'info', 'debug'] as const;
export const logFormats = ['text', 'json'] as const;
export const logTargets = ['stderr', 'syslog'] as const;
export const seccompModes = ['enforce', 'log', 'off'] as const;
export const lineFormats = ['auto', 'plain', 'docker', 'cri', 'json'] as const;

const memory = z.strictObject({
  ceiling: setting((value) => parseSize(value, ceilingBytesMin, ceilingBytesMax)),
  eviction_policy: setting((value) => parseWord(value, evictionPolicies)),
});

const firewall = z.strictObject({
  backend: setting((value) => parseWord(value, backendNames)),
  table: setting(parseTableName),
  allow_log_only: setting(parseBoolean),
  keep_bans: setting(parseBoolean),
  bans_max: setting((value) => parseInteger(value, 1, bansMaxLargest)),
  interfaces: setting(parseInterfaces),
});

const control = z.strictObject({
  enabled: setting(parseBoolean),
  socket: setting(parseSocketPath),
  group: setting((value) => parseName(value, 32)),
});

const metrics = z.strictObject({
  enabled: setting(parseBoolean),
  bind: setting(parseBind),
  port: setting((value) => parseInteger(value, 1, 65_535)),
  allow_remote: setting(parseBoolean),
});

const state = z.strictObject({
  enabled: setting(parseBoolean),
  path: setting(parseStatePath),
  interval: setting((value) => parseInterval(value, stateIntervalSecondsMax)),
});

const journal = z.strictObject({ directories: setting(parseJournalDirectories) });

const log = z.strictObject({
  level: setting((value) => parseWord(value, logLevels)),
  format: setting((value) => parseWord(value, logFormats)),
  target: setting((value) => parseWord(value, logTargets)),
  socket: setting(parseSocketPath),
});

const audit = z.strictObject({
  keep: setting((value) => parseDuration(value, false)),
  size: setting((value) => parseSize(value, auditBytesMin, auditBytesMax)),
  journal: setting(parseBoolean),
});

const confinement = z.strictObject({
  seccomp: setting((value) => parseWord(value, seccompModes)),
  landlock: setting(parseBoolean),
  read: setting(parseDirectories),
});

const fleet = z.strictObject({
  enabled: setting(parseBoolean),
  url: setting(parseServerUrl),
  machine: setting(parseMachine),
  password_file: setting(parseFilePath),
  api_key_file: setting(parseFilePath),
  ca: setting(parseFilePath),
  certificate: setting(parseFilePath),
  key: setting(parseFilePath),
  interval: setting(parseFleetInterval),
  jail: setting((value) => parseName(value, jailNameMax)),
  entries_max: setting((value) => parseInteger(value, 1, bansMaxLargest)),
  directory: setting(parseDirectory),
  spool_size: setting(parseSpoolSize),
  metrics_port: setting((value) => parseInteger(value, 1, 65_535)),
});

const whyRetryBound = 'a table entry counts no further';

/** Settings of a jail that [defaults] may set for all jails. */
const shared = {
  enabled: setting(parseBoolean),
  mode: setting(parseText),
  logpath: setting(parseLogPaths),
  maxretry: setting((value) => parseInteger(value, 1, maxretryMax, whyRetryBound)),
  findtime: setting((value) => parseDuration(value, false)),
  bantime: setting((value) => parseDuration(value, true)),
  bantime_increment: setting(parseBoolean),
  bantime_factor: setting(parseFactor),
  bantime_formula: setting((value) => parseWord(value, bantimeFormulas)),
  bantime_multipliers: setting(parseMultipliers),
  bantime_maxtime: setting((value) => parseDuration(value, false)),
  bantime_rndtime: setting((value) => parseDuration(value, false)),
  bantime_memory: setting((value) => parseDuration(value, false)),
  bantime_overalljails: setting(parseBoolean),
  ipv4_prefix: setting((value) => parseInteger(value, 24, 32)),
  ipv6_prefix: setting((value) => parseInteger(value, 32, 128)),
  ignoreip: setting(parseIgnored),
  ignoreself: setting(parseBoolean),
  network: setting(parseBoolean),
  source: setting((value) => parseWord(value, ['files', 'journal'] as const)),
  port: setting(parsePorts),
  protocol: setting(parseProtocols),
  format: setting((value) => parseWord(value, lineFormats)),
  message: setting(parseMessageField),
  timezone: setting((value) => parseTimezone(value)),
  hooks: setting((value) => parseWords(value, ['input', 'forward'] as const)),
  action: setting((value) => parseWord(value, ['drop', 'reject'] as const)),
};

const jail = z.strictObject({
  ...shared,
  filter: setting(parseText),
  journal_match: setting(parseJournalMatch),
});

/** A pattern of a filter: its text, or a table. */
const pattern = z.strictObject({
  name: setting(parseText),
  pattern: setting(parseText),
  sample: setting(parseSampleLines),
  counter: setting(parseSampleLines),
});

/** One pattern or a list; anything but a table counts as the text of one. */
const patterns = z.optional(
  z.pipe(
    z.transform((value) =>
      (Array.isArray(value) ? value : [value]).map((item) => (isTable(item) ? item : { pattern: item })),
    ),
    z.array(pattern),
  ),
);

const filter = z.strictObject({
  name: setting(parseFilterName),
  about: setting(parseText),
  log_tag: setting(parseLogTags),
  pattern: setting(parseText),
  patterns,
  ignore: patterns,
  sample: setting(parseSampleLines),
  counter: setting(parseSampleLines),
});

const list = z.strictObject({
  file: setting(parseFilePath),
  use: setting((value) => parseWord(value, ['ban', 'ignore'] as const)),
  jail: setting((value) => parseName(value, jailNameMax)),
});

function isTable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export const schema = z.strictObject({
  memory: z.optional(memory),
  firewall: z.optional(firewall),
  control: z.optional(control),
  metrics: z.optional(metrics),
  state: z.optional(state),
  log: z.optional(log),
  audit: z.optional(audit),
  journal: z.optional(journal),
  confinement: z.optional(confinement),
  fleet: z.optional(fleet),
  defaults: z.optional(z.strictObject(shared)),
  filter: z.optional(z.array(filter)),
  list: z.optional(z.array(list)),
  jails: z.optional(z.record(z.string(), jail)),
});

export type Document = z.infer<typeof schema>;
export type JailTable = z.infer<typeof jail>;
export type FilterTable = z.infer<typeof filter>;
export type PatternTable = z.infer<typeof pattern>;

/** `"all"` is the empty list: every protocol. */
function parseProtocols(value: unknown): Parsed<('tcp' | 'udp')[]> {
  if (value === 'all') return { ok: true, value: [] };
  const parsed = parseWords(value, ['tcp', 'udp'] as const);
  if (parsed.ok || typeof value !== 'string') return parsed;
  return { ...parsed, reason: parsed.reason.replace('"tcp", "udp"', '"tcp", "udp", "all"') };
}

/** The known keys of the table at `path`, where the schema has one. */
export function knownKeys(path: readonly PropertyKey[]): string[] {
  const [section] = path;
  if (path.length === 0) return Object.keys(schema.shape);
  if (section === 'jails') return Object.keys(jail.shape);
  if (section === 'filter') return Object.keys(path.length === 2 ? filter.shape : pattern.shape);
  if (section === 'list') return Object.keys(list.shape);
  if (section === 'defaults') return Object.keys(shared);
  return Object.keys(sections[String(section)].shape);
}

const sections: Record<string, { shape: object }> = {
  memory,
  firewall,
  control,
  metrics,
  state,
  log,
  audit,
  journal,
  confinement,
  fleet,
};

/** The tables that may contain `key`, as headers, for a key in the wrong table. */
export function homesOf(key: string): string[] {
  const homes = Object.keys(sections)
    .filter((section) => Object.hasOwn(sections[section].shape, key))
    .map((section) => `[${section}]`);
  if (Object.hasOwn(shared, key)) homes.push('[defaults]');
  if (Object.hasOwn(jail.shape, key)) homes.push('[jails.NAME]');
  if (Object.hasOwn(filter.shape, key)) homes.push('[[filter]]');
  if (Object.hasOwn(list.shape, key)) homes.push('[[list]]');
  return homes;
}

/** The default settings. */
export const defaultSettings = {
  ceilingBytes: ceilingBytesDefault,
  evictionPolicy: 'evict_oldest',
  backend: 'auto',
  table: 'fail2zig',
  allowLogOnly: false,
  keepBans: true,
  bansMax: 0,
  interfaces: [],
  controlEnabled: true,
  socket: '/run/fail2zig/fail2zig.sock',
  group: 'fail2zig',
  metricsEnabled: true,
  bind: '127.0.0.1',
  metricsPort: 9100,
  stateEnabled: true,
  statePath: '/var/lib/fail2zig/state',
  stateIntervalSeconds: 60,
  logLevel: 'info',
  logFormat: 'text',
  syslogSocket: '/dev/log',
  auditKeepSeconds: 90 * 86_400,
  auditBytes: 80 * 1024 * 1024,
  auditJournal: true,
  seccomp: 'enforce',
  landlock: true,
  // As fail2ban's: five failures within ten minutes ban for ten minutes.
  maxretry: 5,
  findtime: 600,
  bantime: 600,
  ipv6Prefix: 64,
  ignoreself: true,
  network: false,
  action: 'drop',
} as const;
