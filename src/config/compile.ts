/**
 * Turns the text of a configuration into the record that the core runs on, or into the list of
 * everything wrong with it. Pure: what it needs to know about the host (groups, filters) is passed
 * in. Input: any text. It returns or throws ConfigError, nothing else.
 */
import { TomlDate, type TomlTable } from 'smol-toml';
import type { z } from 'zod';
import { jailsMax, messageFieldsMax, timezonesMax } from '../limits.ts';
import { printable } from '../text/printable.ts';
import type { CoreConfig, JailConfig, PortRange } from '../types.ts';
import { dateValue, describe } from './describe.ts';
import { resolveEscalation } from './escalation.ts';
import { compileFilters, filterWarnings, type OperatorFilter, type TryLines, trySamples } from './filter.ts';
import { type FleetConfig, resolveFleet, withFleetJail } from './fleet.ts';
import { foreignHint } from './foreign-keys.ts';
import { resolveJournal } from './journal-match.ts';
import type { KnownFilter } from './known-filters.ts';
import { complainOfBackend, type ListReading, readLists, resolveLists, withListJails } from './lists.ts';
import { dotted, offsetWithin, type Path, pathKey } from './locate.ts';
import { nearest } from './nearest.ts';
import type { ProblemKind } from './problem.ts';
import {
  type Document,
  defaultSettings,
  type FilterTable,
  homesOf,
  type JailTable,
  knownKeys,
  type RefusedParams,
  schema,
} from './schema.ts';
import { type Found, type Piece, TomlPieces } from './toml.ts';
import { isLoopback, parseJailName } from './values.ts';

/** What a configuration refers to on the host. */
export interface Surroundings {
  filters: readonly KnownFilter[];
  /** The number of a group; undefined if there is no group of that name. */
  groupId(name: string): number | undefined;
  /** How list files are read; absent: they count as empty. */
  lists?: ListReading;
  /** Examines lines with an operator's filter; absent: samples are not tried. */
  tryLines?: TryLines;
}

export interface Compiled {
  config: CoreConfig;
  /** What works but is probably a mistake, one sentence each, safe for a terminal. */
  warnings: string[];
  /** The operator's filters, as they were written. */
  filters: OperatorFilter[];
  fleet?: FleetConfig;
}

/**
 * The record for `text`, which was read from `path`; throws ConfigError with every problem found.
 */
export function compileConfig(text: string, path: string, surroundings: Surroundings): Compiled {
  return compilePieces([{ path, text }], surroundings);
}

/** The same for a file and the files beside it that continue it. */
export function compilePieces(pieces: readonly Piece[], surroundings: Surroundings): Compiled {
  return new Reader(pieces, surroundings).read();
}

class Reader {
  private readonly document: TomlPieces;
  private readonly path: string;
  private readonly surroundings: Surroundings;
  private readonly warnings: string[] = [];
  private filters: OperatorFilter[] = [];
  /** Filters that a jail may name: the built-in ones and the operator's, usable or not. */
  private known: readonly KnownFilter[];

  constructor(pieces: readonly Piece[], surroundings: Surroundings) {
    this.document = new TomlPieces(pieces);
    this.path = pieces[0].path;
    this.surroundings = surroundings;
    this.known = surroundings.filters;
  }

  read(): Compiled {
    const { document } = this;
    const table = document.parse();
    const checked = schema.safeParse(withoutDates(table));
    for (const issue of checked.error?.issues ?? []) this.addIssue(issue, table);
    // Text that could not be parsed may contain what seems to be missing.
    if (document.isRefused || !checked.success) throw document.error();
    const builtIn = this.surroundings.filters.map(({ name }) => name);
    const whole = withListJails(withFleetJail(checked.data, builtIn), builtIn);
    const config = this.resolve(whole);
    this.resolveLists(whole, config);
    const fleet = resolveFleet(checked.data.fleet, this.warnings, (kind, key, reason, hint) =>
      this.add(kind, ['fleet', key], this.valueOffset(['fleet', key]), reason, hint),
    );
    if (fleet?.receives && !config.jails.some(({ name }) => name === fleet.jail)) {
      const reason = `names no jail that is enabled, and bans of others need "${fleet.jail}"`;
      const hint = 'enable it, or name one that is neither a filter nor a jail of yours';
      this.add('value', ['fleet', 'jail'], this.valueOffset(['fleet', 'jail']), reason, hint);
    }
    this.checkPrefixes(config, fleet);
    if (document.isRefused) throw document.error();
    return { config, warnings: this.warnings, filters: this.filters, ...(fleet && { fleet }) };
  }

  private add(kind: ProblemKind, path: Path, offset: number, reason: string, hint?: Found['hint']): void {
    this.document.add(kind, path, offset, reason, hint);
  }

  // --- Shape -------------------------------------------------------------------------------------

  private addIssue(issue: z.core.$ZodIssue, table: TomlTable): void {
    const path = issue.path as Path;
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) this.addUnknownKey(path, key);
    } else if (issue.code === 'custom') {
      const { hint } = issue.params as RefusedParams;
      const kind = issue.message.startsWith('expected') ? 'type' : 'value';
      this.add(kind, path, this.valueOffset(path), issue.message, hint);
    } else if (issue.code === 'invalid_type' && issue.expected === 'array') {
      const reason = `expected a list of tables, found ${describe(valueAt(table, path))}`;
      this.add('type', path, this.valueOffset(path), reason, `write [[${dotted(path)}]]`);
    } else {
      this.add('type', path, this.valueOffset(path), `expected a table, found ${describe(valueAt(table, path))}`);
    }
  }

  private addUnknownKey(path: Path, key: string): void {
    const full = [...path, key];
    this.add('unknown-key', full, this.keyOffset(full), 'unknown key', () => this.unknownKeyHint(path, key));
  }

  private unknownKeyHint(path: Path, key: string): string | undefined {
    const foreign = foreignHint(path, key);
    if (foreign !== undefined) return foreign;
    const close = nearest(key, knownKeys(path));
    if (close !== undefined) return `did you mean "${close}"?`;
    if (path.length === 0 && this.surroundings.filters.some((filter) => filter.name === key)) {
      return `did you mean [jails.${key}]?`;
    }
    const homes = homesOf(key);
    return homes.length > 0 ? `it belongs in ${homes.join(' or ')}` : undefined;
  }

  private keyOffset(path: Path): number {
    return this.document.places.get(pathKey(path))?.key ?? this.parentOffset(path);
  }

  private valueOffset(path: Path): number {
    return this.document.places.get(pathKey(path))?.value ?? this.parentOffset(path);
  }

  /**
   * The nearest enclosing key that has a place: the element of a list that was written as one
   * string has none.
   */
  private parentOffset(path: Path): number {
    for (let length = path.length - 1; length > 0; length--) {
      const place = this.document.places.get(pathKey(path.slice(0, length)));
      if (place) return place.value;
    }
    return 0;
  }

  // --- Meaning -----------------------------------------------------------------------------------

  private resolve(document: Document): CoreConfig {
    this.resolveFilters(document.filter ?? []);
    const { memory, firewall, control, metrics, state, log, audit, confinement } = document;
    const config: CoreConfig = {
      path: this.path,
      memory: {
        ceilingBytes: memory?.ceiling ?? defaultSettings.ceilingBytes,
        evictionPolicy: memory?.eviction_policy ?? defaultSettings.evictionPolicy,
      },
      firewall: {
        backend: firewall?.backend ?? defaultSettings.backend,
        table: firewall?.table ?? defaultSettings.table,
        allowLogOnly: firewall?.allow_log_only ?? defaultSettings.allowLogOnly,
        keepBans: firewall?.keep_bans ?? defaultSettings.keepBans,
        bansMax: firewall?.bans_max ?? defaultSettings.bansMax,
        interfaces: firewall?.interfaces ?? defaultSettings.interfaces,
      },
      control: {
        enabled: control?.enabled ?? defaultSettings.controlEnabled,
        path: control?.socket ?? defaultSettings.socket,
        groupId: this.resolveGroup(control?.group ?? defaultSettings.group),
      },
      metrics: {
        enabled: metrics?.enabled ?? defaultSettings.metricsEnabled,
        bind: this.resolveBind(metrics?.bind ?? defaultSettings.bind, metrics?.allow_remote ?? false),
        port: metrics?.port ?? defaultSettings.metricsPort,
      },
      state: {
        enabled: state?.enabled ?? defaultSettings.stateEnabled,
        path: state?.path ?? defaultSettings.statePath,
        intervalSeconds: state?.interval ?? defaultSettings.stateIntervalSeconds,
      },
      log: {
        level: log?.level ?? defaultSettings.logLevel,
        format: log?.format ?? defaultSettings.logFormat,
        ...(log?.target === 'syslog' && { syslog: log.socket ?? defaultSettings.syslogSocket }),
      },
      audit: {
        keepSeconds: audit?.keep ?? defaultSettings.auditKeepSeconds,
        bytes: audit?.size ?? defaultSettings.auditBytes,
        journal: audit?.journal ?? defaultSettings.auditJournal,
      },
      journal: { directories: document.journal?.directories ?? [] },
      confinement: {
        seccomp: confinement?.seccomp ?? defaultSettings.seccomp,
        landlock: confinement?.landlock ?? defaultSettings.landlock,
        read: confinement?.read ?? [],
      },
      filters: this.filters.map(({ program }) => program),
      jails: this.resolveJails(document),
    };
    if (config.jails.length === 0) this.warnings.push('no jail is enabled: nothing will be guarded');
    if (config.firewall.backend === 'xdp' && config.firewall.interfaces.length === 0) {
      const path = ['firewall', 'interfaces'];
      const reason = 'is missing: xdp drops on the interfaces that you name';
      this.add('missing', path, this.valueOffset(['firewall', 'backend']), reason, 'write interfaces = ["eth0"]');
    }
    if (config.firewall.backend === 'log-only')
      this.warnings.push('firewall.backend is "log-only": nobody will be banned');
    return config;
  }

  private resolveGroup(name: string): number {
    const groupId = this.surroundings.groupId(name);
    if (groupId !== undefined) return groupId;
    this.warnings.push(`there is no group "${printable(name)}" in /etc/group: only root may use the control socket`);
    return 0;
  }

  private resolveBind(bind: string, allowRemote: boolean): string {
    if (isLoopback(bind)) return bind;
    if (allowRemote) {
      this.warnings.push(`metrics are served on ${bind}, which other hosts may reach: guard it with a firewall rule`);
    } else {
      const path = ['metrics', 'bind'];
      const reason = `${bind} can be reached from other hosts, which would learn jails and bans`;
      this.add('value', path, this.valueOffset(path), reason, 'write allow_remote = true beside it if that is meant');
    }
    return bind;
  }

  private resolveFilters(tables: readonly FilterTable[]): void {
    const { filters: builtIn, tryLines } = this.surroundings;
    const complain = (path: Path, reason: string, hint?: string, within?: number): void => {
      const missing = reason === 'is missing';
      const located = missing ? path : this.locatedPath(path);
      const start = missing ? this.parentOffset(path) : this.valueOffset(located);
      const offset = within === undefined ? start : offsetWithin(this.document.text, start, within);
      this.add(missing ? 'missing' : 'value', located, offset, reason, hint);
    };
    const names = builtIn.map(({ name }) => name);
    this.filters = compileFilters(tables, names, complain);
    this.known = [...builtIn, ...tables.map(({ name = '' }) => ({ name, modes: [] }))];
    for (const filter of this.filters) {
      const index = tables.findIndex(({ name }) => name === filter.definition.name);
      if (tryLines) trySamples(filter, tables[index], ['filter', index], tryLines, complain);
      this.warnings.push(...filterWarnings(filter));
    }
  }

  /**
   * The longest beginning of a filter's path that exists in the text; a single pattern may be
   * written without its list.
   */
  private locatedPath(full: Path): Path {
    const listed = this.document.places.has(pathKey(full.slice(0, 4)));
    const path = listed ? full : full.toSpliced(3, 1);
    for (let length = path.length; length > 0; length--) {
      if (this.document.places.has(pathKey(path.slice(0, length)))) return path.slice(0, length);
    }
    return path;
  }

  private resolveJails(document: Document): JailConfig[] {
    const jails: JailConfig[] = [];
    for (const [name, table] of Object.entries(document.jails ?? {})) {
      const jail = this.resolveJail(name, table, document.defaults ?? {});
      if (jail) jails.push(jail);
    }
    if (jails.length > jailsMax) {
      const path = ['jails', jails[jailsMax].name];
      this.add('value', path, this.keyOffset(path), `is jail ${jailsMax + 1}: at most ${jailsMax} are allowed`);
    }
    this.checkLines(jails);
    return jails;
  }

  /** The jail with every setting; undefined if it is not enabled. It is checked in any case. */
  private resolveJail(
    name: string,
    table: JailTable,
    defaults: NonNullable<Document['defaults']>,
  ): JailConfig | undefined {
    const path = ['jails', name];
    const usable = parseJailName(name);
    if (!usable.ok) this.add('value', path, this.keyOffset(path), `jail name: ${usable.reason}`, usable.hint);
    const filter = this.resolveFilter(name, table);
    const mode = this.resolveMode(name, table, defaults, filter);
    const enabled = table.enabled ?? defaults.enabled ?? true;
    const own = this.filters.find(({ definition }) => definition.name === filter?.name);
    const journal = resolveJournal(
      table,
      defaults,
      filter && { name: filter.name, tags: own?.definition.tags },
      (key, reason, hint) => this.add('value', [...path, key], this.keyOffset([...path, key]), reason, hint),
    );
    const logpath = journal === undefined ? (table.logpath ?? defaults.logpath) : [];
    if (enabled && logpath === undefined) {
      const hint = 'write logpath = "/var/log/…", or source = "journal"';
      this.add('missing', [...path, 'logpath'], this.keyOffset(path), 'is missing', hint);
    }
    if (!enabled) return undefined;
    const ipv4Prefix = table.ipv4_prefix ?? defaults.ipv4_prefix ?? 32;
    const bantime = table.bantime ?? defaults.bantime ?? defaultSettings.bantime;
    const escalates = table.bantime_increment ?? defaults.bantime_increment ?? false;
    const longest = table.bantime_maxtime ?? defaults.bantime_maxtime;
    if (escalates && longest !== undefined && longest < bantime) {
      const set = table.bantime_maxtime === undefined ? ['defaults', 'bantime_maxtime'] : [...path, 'bantime_maxtime'];
      const reason = `is shorter than the bantime of jail ${name} (${bantime} s)`;
      this.add('value', set, this.valueOffset(set), reason, 'bans never become shorter: write at least bantime');
    }
    return {
      name,
      filter: filter?.name ?? '',
      mode,
      logpath: logpath ?? [],
      ...(journal && { journal }),
      maxretry: table.maxretry ?? defaults.maxretry ?? defaultSettings.maxretry,
      findtime: table.findtime ?? defaults.findtime ?? defaultSettings.findtime,
      bantime,
      escalation: resolveEscalation(bantime, { ...defaults, ...withoutAbsent(table) }),
      ...(ipv4Prefix !== 32 && { ipv4Prefix }),
      ipv6Prefix: table.ipv6_prefix ?? defaults.ipv6_prefix ?? defaultSettings.ipv6Prefix,
      ignoreip: table.ignoreip ?? defaults.ignoreip ?? [],
      network: table.network ?? defaults.network ?? defaultSettings.network,
      ignoreself: table.ignoreself ?? defaults.ignoreself ?? defaultSettings.ignoreself,
      ...resolveReach(table.port ?? defaults.port, table.protocol ?? defaults.protocol),
      hooks: table.hooks ?? defaults.hooks ?? ['input'],
      action: table.action ?? defaults.action ?? defaultSettings.action,
      ...this.resolveLines(path, table, defaults),
    };
  }

  /** How the jail's lines are written; empty if nothing is set. */
  private resolveLines(
    path: Path,
    table: JailTable,
    defaults: NonNullable<Document['defaults']>,
  ): Pick<JailConfig, 'format' | 'message' | 'timezone'> {
    if ((table.source ?? defaults.source) === 'journal') return {};
    const format = table.format ?? defaults.format;
    const message = table.message ?? defaults.message;
    const timezone = table.timezone ?? defaults.timezone;
    if (format === 'json' && message === undefined) {
      const hint = 'name the field that holds the text: message = "msg"';
      this.add('missing', [...path, 'message'], this.keyOffset(path), 'is missing', hint);
    } else if (table.message !== undefined && format !== 'json') {
      const field = [...path, 'message'];
      this.add('value', field, this.keyOffset(field), 'is for format = "json" only');
    }
    return {
      ...(format !== undefined && format !== 'auto' && { format }),
      ...(format === 'json' && { message }),
      ...(timezone !== undefined && timezone.length > 0 && { timezone }),
    };
  }

  private resolveLists(document: Document, config: CoreConfig): void {
    if (document.list === undefined) return;
    const complain = (index: number, key: string, reason: string, hint?: string): void => {
      const path = key === '' ? ['list', index] : ['list', index, key];
      this.add(reason === 'is missing' ? 'missing' : 'value', path, this.valueOffset(path), reason, hint);
    };
    const names = config.jails.map(({ name }) => name);
    const rows = resolveLists(document, names, complain);
    complainOfBackend(rows, config.firewall.backend, complain);
    if (this.document.isRefused) return;
    const nothing = { lengths: { 4: [], 6: [] }, elements: { 4: 0, 6: 0 } };
    const { lists: reading } = this.surroundings;
    config.lists =
      reading === undefined
        ? rows.map((row) => ({ ...row, ...nothing }))
        : readLists(rows, reading, complain, this.warnings);
  }

  /** Whether each IPv4 prefix can be banned as one. */
  private checkPrefixes({ firewall, jails }: CoreConfig, fleet: FleetConfig | undefined): void {
    for (const { name, ipv4Prefix } of jails) {
      if (ipv4Prefix === undefined) continue;
      const own = ['jails', name, 'ipv4_prefix'];
      const path = this.document.places.has(pathKey(own)) ? own : ['defaults', 'ipv4_prefix'];
      const complain = (reason: string, hint: string): void =>
        this.add('value', path, this.valueOffset(path), reason, hint);
      if (firewall.backend === 'xdp')
        complain(`xdp bans IPv4 sources one by one (jail ${name})`, 'leave it out, or choose another backend');
      if (name === fleet?.jail) {
        const reason = `jail ${name} bans what other hosts found, one address at a time`;
        complain(reason, `write ipv4_prefix = 32 in [jails.${name}]`);
      }
    }
  }

  /** The engine has room for this many zones and fields. */
  private checkLines(jails: JailConfig[]): void {
    const count = (values: unknown[]): number =>
      new Set(values.filter((value) => value !== undefined).map((value) => JSON.stringify(value))).size;
    const complain = (path: Path, reason: string): void => this.add('value', path, this.keyOffset(['jails']), reason);
    if (count(jails.map(({ timezone }) => timezone)) > timezonesMax)
      complain(['jails'], `have more than ${timezonesMax} time zones`);
    if (count(jails.map(({ message }) => message)) > messageFieldsMax)
      complain(['jails'], `name more than ${messageFieldsMax} message fields`);
  }

  /** The jail's filter, by default the one of the same name. */
  private resolveFilter(name: string, table: JailTable): KnownFilter | undefined {
    const wanted = table.filter ?? name;
    const filter = this.known.find((known) => known.name === wanted);
    if (filter) return filter;
    const path = table.filter === undefined ? ['jails', name] : ['jails', name, 'filter'];
    const offset = table.filter === undefined ? this.keyOffset(path) : this.valueOffset(path);
    this.add('value', path, offset, `unknown filter "${printable(wanted, 60)}"`, this.filterHint(wanted));
    return undefined;
  }

  private filterHint(wanted: string): string {
    const withMode = /^([A-Za-z0-9_-]+)\[mode=["']?([a-z]+)["']?\]$/.exec(wanted);
    if (withMode) return `write filter = "${withMode[1]}" and mode = "${withMode[2]}"`;
    const close = nearest(
      wanted,
      this.known.map((known) => known.name),
    );
    return close === undefined ? '`fail2zig filters` lists what there is' : `did you mean "${close}"?`;
  }

  private resolveMode(
    name: string,
    table: JailTable,
    defaults: NonNullable<Document['defaults']>,
    filter: KnownFilter | undefined,
  ): string {
    const mode = table.mode ?? defaults.mode;
    if (mode === undefined || !filter) return filter?.modes[0] ?? '';
    if (filter.modes.includes(mode)) return mode;
    const path = table.mode === undefined ? ['defaults', 'mode'] : ['jails', name, 'mode'];
    const listed = filter.modes.map((known) => `"${known}"`).join(', ');
    const reason = `filter ${filter.name} has no mode "${printable(mode, 60)}"`;
    const close = nearest(mode, filter.modes);
    const hint = close ? `did you mean "${close}"?` : listed === '' ? 'it has no modes' : `its modes are ${listed}`;
    this.add(
      'value',
      path,
      this.valueOffset(path),
      table.mode === undefined ? `${reason} (jail ${name})` : reason,
      hint,
    );
    return '';
  }
}

/**
 * What a ban blocks. No port means everything that a source sends; every port of a protocol is a
 * range, so that the protocol still counts. `protocols` is never empty: otherwise a rule per
 * protocol would become no rule.
 */
function resolveReach(
  port: PortRange[] = [],
  protocol: JailConfig['protocols'] | undefined,
): Pick<JailConfig, 'ports' | 'protocols'> {
  const everyProtocol = protocol !== undefined && protocol.length === 0;
  if (port.length === 0) {
    if (protocol === undefined || everyProtocol) return { ports: [], protocols: ['tcp', 'udp'] };
    return { ports: [{ first: 0, last: 65_535 }], protocols: protocol };
  }
  if (everyProtocol) return { ports: port, protocols: ['tcp', 'udp'] };
  return { ports: port, protocols: protocol ?? ['tcp'] };
}

/**
 * The document with a symbol in place of every date. No setting is a date, and zod accepts any
 * object as a table, even a date, which has no keys to refuse.
 */
function withoutDates(value: unknown): unknown {
  if (value instanceof TomlDate) return dateValue;
  if (Array.isArray(value)) return value.map(withoutDates);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutDates(item)]));
}

/** The keys of `table` that have a value. */
function withoutAbsent<Table extends object>(table: Table): Partial<Table> {
  return Object.fromEntries(Object.entries(table).filter(([, value]) => value !== undefined)) as Partial<Table>;
}

/** The value at `path` in the document. */
function valueAt(table: TomlTable, path: Path): unknown {
  let value: unknown = table;
  for (const part of path) value = (value as Record<string | number, unknown>)[part];
  return value;
}
