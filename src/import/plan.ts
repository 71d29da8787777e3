/**
 * Plans our jails from a fail2ban tree: each setting with its origin, each filter by name or
 * translated, and a note for everything that is not carried over. Decides; writes nothing. Claims
 * LP-11, LP-28, WHY-15.
 */
import { formatDuration } from '../config/duration.ts';
import { defaultJournalMatch, parseJournalMatch } from '../config/journal-match.ts';
import { filterNameMax } from '../config/limits.ts';
import { filtersMax, maxretryMax } from '../limits.ts';
import { readActions } from './actions.ts';
import { type CustomFilter, customise, type Expressions } from './custom-filter.ts';
import { type DateVerdict, judgeDatePattern } from './date-pattern.ts';
import { escalationSettings } from './escalation.ts';
import { type JailFile, type JailKey, needless, readJails } from './jail-file.ts';
import { filterMsMax, treeLogPathsMax, treeMsMax } from './limits.ts';
import type { Note, Notes } from './notes.ts';
import { isYes } from './options.ts';
import { fitFilters } from './room.ts';
import { isShipped } from './stock.ts';
import { readText, type Tree } from './tree.ts';
import { durationOf, ignoredOf, logPathOf, portsOf, timezoneOf, usableName } from './values.ts';

/** One line of a jail: `key = value`. */
export interface Setting {
  key: string;
  value: string | number | boolean | string[] | number[];
  /** `file:line`. */
  from: string;
}

export interface JailPlan {
  /** The name in the tree, and ours. */
  original: string;
  name: string;
  place: string;
  /** Whether our jail guards what fail2ban's jail guarded. */
  enabled: boolean;
  settings: Setting[];
  filter: string;
}

export interface Plan {
  jails: JailPlan[];
  filters: { filter: CustomFilter; place: string; about: string }[];
}

/** What the plan needs to know about this host and about us. */
export interface Surroundings {
  builtIn: readonly { name: string; modes: readonly string[] }[];
  portOf(service: string): number | undefined;
  fileExists(pattern: string): boolean;
  hasJournal: boolean;
}

/** `enabled`: jails that are planned though the tree does not enable them. */
export function planOf(tree: Tree, notes: Notes, enabled: readonly string[], surroundings: Surroundings): Plan {
  const plan: Plan = { jails: [], filters: [] };
  const until = performance.now() + treeMsMax;
  const jails = readJails(tree, notes, enabled).filter(({ enabled, problems }) => enabled || problems.length > 0);
  for (const jail of jails) {
    plan.jails.push(new Planner(tree, notes, surroundings, jail, plan, until).plan());
  }
  fitFilters(
    plan.filters.map(({ filter }) => filter),
    ({ name }, text) => {
      for (const { original, filter, place } of plan.jails) {
        if (filter === name)
          notes.add({ weight: 'warning', jail: original, place, text, hint: 'leave expressions out of it' });
      }
    },
  );
  return plan;
}

/** The notes about a `datepattern`. */
const dateNotes: Readonly<Record<DateVerdict, { weight: Note['weight']; text: string }>> = {
  read: { weight: 'info', text: 'is not needed: fail2zig recognises times of this form without it' },
  arrival: { weight: 'info', text: 'says that lines have no time: they count when they are read' },
  unread: {
    weight: 'warning',
    text: 'describes a time that fail2zig does not read: lines count when they are read, and an expression that begins with ^ matches none of them',
  },
  unknown: {
    weight: 'warning',
    text: 'is not a plain form of a time: only a test shows whether its times are read',
  },
};

class Planner {
  readonly #tree: Tree;
  readonly #notes: Notes;
  readonly #surroundings: Surroundings;
  readonly #jail: JailFile;
  readonly #plan: Plan;
  readonly #until: number;
  readonly #settings: Setting[] = [];
  #lost = false;
  #isJournal = false;

  constructor(tree: Tree, notes: Notes, surroundings: Surroundings, jail: JailFile, plan: Plan, until: number) {
    this.#until = until;
    this.#tree = tree;
    this.#notes = notes;
    this.#surroundings = surroundings;
    this.#jail = jail;
    this.#plan = plan;
  }

  plan(): JailPlan {
    const { name, line, problems } = this.#jail;
    for (const [key, reason] of problems) {
      const isVital = ['enabled', 'filter', 'logpath', 'failregex', 'journalmatch'].includes(key);
      this.#note(isVital ? 'lost' : 'warning', `${key}: ${reason}`, { place: this.#placeOf(key) });
    }
    const filter = this.#filter();
    this.#source(filter);
    this.#thresholds();
    this.#ignored();
    this.#reach();
    this.#others();
    return {
      original: name,
      name: this.#freeName(usableName(name)),
      place: this.#tree.place(line),
      enabled: !this.#lost,
      settings: this.#settings,
      filter,
    };
  }

  // --- Filter ------------------------------------------------------------------------------------

  #filter(): string {
    const { filter: call, filterFile, line } = this.#jail;
    if (!call) {
      this.#note('lost', 'names no filter', { place: this.#tree.place(line) });
      return '';
    }
    const known = this.#surroundings.builtIn.find((filter) => filter.name === call.name);
    const changed = this.#changed();
    if (known && changed === undefined) {
      const own = this.#isEdited() ? this.#custom(this.#ownName(call.name), undefined, true) : undefined;
      if (own === undefined) {
        if (this.#jail.options.has('datepattern')) this.#datePattern();
        this.#builtIn(known, call.options);
        return known.name;
      }
      this.#set('filter', own, this.#tree.place(filterFile?.failregex ?? line));
      return own;
    }
    if (!filterFile) {
      this.#note('lost', `the filter "${call.name}" is neither in the tree nor built in`, {
        place: this.#tree.place(line),
      });
      return '';
    }
    const filter = this.#custom(known ? this.#ownName(call.name) : usableName(call.name), changed, false);
    if (filter === undefined) {
      this.#note('lost', `the filter "${call.name}" cannot be carried over`, {
        place: this.#tree.place(filterFile.failregex ?? line),
        hint: 'write a [[filter]] for it: `fail2zig check` tries it on sample lines',
      });
      return '';
    }
    this.#set('filter', filter, this.#tree.place(filterFile.failregex ?? line));
    return filter;
  }

  /** A name for the jail's own filter, different from that of the built-in filter. */
  #ownName(filter: string): string {
    const { name } = this.#jail;
    return usableName(name === filter ? `${filter}-own` : `${filter}-${name}`);
  }

  /** Whether the file has the name of a built-in filter, but fail2ban never shipped it. */
  #isEdited(): boolean {
    const { filterFile, filter } = this.#jail;
    const path = filterFile?.files.find((file) => file.endsWith(`/filter.d/${filter?.name}.conf`));
    return path !== undefined && !isShipped(readText(path));
  }

  #builtIn(known: { name: string; modes: readonly string[] }, options: ReadonlyMap<string, string>): void {
    const { filterFile, line, name, options: own } = this.#jail;
    if (known.name !== usableName(name)) this.#set('filter', known.name, this.#tree.place(line));
    const mode = options.get('mode') ?? filterFile?.mode?.text ?? own.get('mode')?.text;
    if (mode !== undefined && known.modes.includes(mode)) {
      if (mode !== known.modes[0]) this.#set('mode', mode, this.#placeOf('mode'));
    } else if (mode !== undefined && mode !== 'normal' && known.modes.length > 0) {
      const modes = known.modes.join(', ');
      this.#note('warning', `mode "${mode}" does not exist here: "${known.modes[0]}" is used`, {
        place: this.#placeOf('mode'),
        hint: `the modes are ${modes}`,
      });
    }
    for (const [key, value] of options) {
      if (['mode', 'logtype', 'logging', 'backend'].includes(key)) continue;
      this.#note('warning', `${known.name}[${key}=${value}]: the built-in filter has no such option`, {
        place: this.#placeOf('filter'),
      });
    }
  }

  /** How the tree's filter differs from the built-in one; undefined: it does not. */
  #changed(): string | undefined {
    const { filterFile, own, options, filter } = this.#jail;
    for (const key of ['failregex', 'ignoreregex', 'prefregex', 'maxlines'] as const) {
      const value = options.get(key);
      if (value && (own.includes(key) || !value.file.includes('/filter.d/')) && value.text.trim() !== '') return key;
      const inFile = filterFile?.[key];
      if (inFile?.file.endsWith('.local') && !/common\.local$/.test(inFile.file)) return key;
      if (filter?.options.has(key)) return key;
    }
    return undefined;
  }

  /**
   * The name of the translated filter. `isWhole`: undefined if a part cannot be translated, so that
   * the built-in filter is used instead.
   */
  #custom(wanted: string, changed: string | undefined, isWhole: boolean): string | undefined {
    const name = wanted.slice(0, filterNameMax - 4);
    const { filterFile, options } = this.#jail;
    const expressions: Expressions = {};
    for (const key of ['failregex', 'ignoreregex', 'prefregex', 'maxlines'] as const) {
      const value = (changed === undefined ? undefined : options.get(key)) ?? options.get(key) ?? filterFile?.[key];
      if (value) expressions[key] = value;
    }
    if (filterFile?.daemon) expressions.daemon = filterFile.daemon;
    const key = JSON.stringify([name, Object.entries(expressions).map(([part, value]) => [part, value.text])]);
    const earlier = this.#known.get(key);
    if (earlier !== undefined) return earlier === '' ? undefined : earlier;
    if (this.#plan.filters.length >= filtersMax - this.#surroundings.builtIn.length) return undefined;
    const taken = [
      ...this.#surroundings.builtIn.map((filter) => filter.name),
      ...this.#plan.filters.map(({ filter }) => filter.name),
    ];
    const free = freeName(name, taken);
    const until = Math.min(performance.now() + filterMsMax, this.#until);
    const { filter, remarks, expressions: count, translated } = customise(free, expressions, until);
    if (isWhole && (filter === undefined || translated < count)) {
      const place = this.#tree.place(expressions.failregex ?? this.#jail.line);
      this.#note('warning', 'fail2ban never shipped this filter file: our built-in filter is used instead', {
        place,
        hint: 'fail2zig compare shows where they differ',
      });
      this.#known.set(key, '');
      return undefined;
    }
    for (const { weight, from, expression, text, hint } of remarks) {
      this.#note(weight, text, {
        place: from.file === '' ? '' : this.#tree.place(from),
        found: expression,
        ...(hint === undefined ? {} : { hint }),
      });
    }
    this.#known.set(key, filter ? free : '');
    if (!filter) return undefined;
    this.#datePattern();
    const place = this.#tree.place(expressions.failregex ?? this.#jail.line);
    this.#plan.filters.push({ filter, place, about: `fail2ban's ${this.#jail.filter?.name ?? ''}` });
    return free;
  }

  /** Notes what happens to the times that the jail, or its filter, describes. */
  #datePattern(): void {
    const { filterFile, options } = this.#jail;
    const datepattern = options.get('datepattern') ?? filterFile?.datepattern;
    // fail2ban's own list of formats is not a choice of the operator.
    if (datepattern === undefined || !/%|EPOCH|TAI|NONE/.test(datepattern.text)) return;
    const { weight, text } = dateNotes[judgeDatePattern(datepattern.text)];
    this.#note(weight, `datepattern ${text}`, {
      place: this.#tree.place(datepattern),
      found: datepattern.text,
      hint: 'try it: `fail2zig import --try LOG`',
    });
  }

  get #known(): Map<string, string> {
    const known = filtersOf.get(this.#plan) ?? new Map<string, string>();
    filtersOf.set(this.#plan, known);
    return known;
  }

  // --- Where lines come from ---------------------------------------------------------------------

  #source(filter: string): void {
    const backend = this.#jail.options.get('backend');
    const isJournal = (backend?.text ?? 'auto').startsWith('systemd');
    const paths = isJournal ? [] : this.#logPaths();
    if (isJournal) {
      this.#journal(filter, backend ?? this.#jail.line);
      return;
    }
    const { fileExists, hasJournal } = this.#surroundings;
    const isAuto = (backend?.text ?? 'auto') === 'auto';
    if (isAuto && hasJournal && !paths.some(fileExists) && defaultJournalMatch(filter, undefined) !== undefined) {
      const place = this.#placeOf('logpath');
      this.#note('info', 'reads the journal: none of its log files is on this host', { place, found: paths.join(' ') });
      this.#journal(filter, this.#jail.options.get('logpath') ?? this.#jail.line);
      return;
    }
    if (paths.length > 0) {
      this.#set('logpath', paths.length === 1 ? (paths[0] as string) : paths, this.#placeOf('logpath'));
      return;
    }
    this.#note('lost', 'names no log file that can be read', { place: this.#placeOf('logpath') });
  }

  #logPaths(): string[] {
    const value = this.#jail.options.get('logpath');
    const paths: string[] = [];
    for (const [index, written] of (value?.text ?? '').split('\n').entries()) {
      const text = written.trim();
      if (text === '' || value === undefined) continue;
      const place = this.#tree.place({ file: value.file, line: value.line + index });
      const parsed = logPathOf(text);
      if (typeof parsed === 'string') this.#note('warning', `logpath ${parsed}`, { place, found: text });
      else if (!paths.includes(parsed.path)) paths.push(parsed.path);
      if (typeof parsed === 'object' && parsed.remark)
        this.#note('warning', `logpath: ${parsed.remark}`, { place, found: text });
    }
    if (paths.length <= treeLogPathsMax) return paths;
    this.#note('warning', `${paths.length} log paths, of which the first ${treeLogPathsMax} are kept`, {
      place: this.#placeOf('logpath'),
    });
    return paths.slice(0, treeLogPathsMax);
  }

  /**
   * Built-in filters know their units. A match that the jail, or a filter of its own, sets replaces
   * these.
   */
  #journal(filter: string, from: { file: string; line: number }): void {
    this.#isJournal = true;
    this.#set('source', 'journal', this.#tree.place(from));
    const { options, filterFile } = this.#jail;
    const isBuiltIn = this.#surroundings.builtIn.some(({ name }) => name === filter);
    const match = options.get('journalmatch') ?? (isBuiltIn ? undefined : filterFile?.journalmatch);
    const groups = (match?.text ?? '').split('\n').filter((line) => line.trim() !== '');
    if (match && groups.length > 0) {
      const parsed = parseJournalMatch(groups);
      if (parsed.ok) {
        this.#set('journal_match', groups.length === 1 ? (groups[0] as string) : groups, this.#tree.place(match));
        return;
      }
      this.#note('warning', `journalmatch ${parsed.reason}`, { place: this.#tree.place(match), found: match.text });
    }
    if (filter === '' || (isBuiltIn && defaultJournalMatch(filter, undefined))) return;
    const tags = this.#plan.filters.find((each) => each.filter.name === filter)?.filter.tags ?? [];
    if (tags.includes('*')) return;
    const named = tags.filter((tag) => tag !== '' && !tag.endsWith('(*')).map((tag) => `SYSLOG_IDENTIFIER=${tag}`);
    if (named.length > 0) {
      this.#set('journal_match', named.join(' '), this.#tree.place(filterFile?.daemon ?? from));
      return;
    }
    this.#settings.pop();
    const hint = 'write journal_match = "_SYSTEMD_UNIT=…", or name the log file in logpath';
    this.#note('lost', 'reads the journal, and names no unit or identifier', { place: this.#tree.place(from), hint });
  }

  // --- When and for how long ---------------------------------------------------------------------

  #thresholds(): void {
    const { options } = this.#jail;
    const maxretry = options.get('maxretry');
    if (maxretry) {
      const number = Number(maxretry.text.trim());
      const place = this.#tree.place(maxretry);
      if (!/^[+-]?\d+$/.test(maxretry.text.trim()))
        this.#note('warning', 'maxretry is not a number: 5 is used', { place, found: maxretry.text });
      else {
        const kept = Math.min(Math.max(1, number), maxretryMax);
        if (kept !== number)
          this.#note('warning', `maxretry becomes ${kept}: it must be 1 to ${maxretryMax}`, {
            place,
            found: maxretry.text,
          });
        this.#set('maxretry', kept, place);
      }
    }
    this.#duration('findtime', false);
    this.#duration('bantime', true);
    const { settings, remarks } = escalationSettings(options, (value) => this.#tree.place(value));
    this.#settings.push(...settings);
    for (const { text, place, found } of remarks) this.#note('warning', text, { place, found });
  }

  #duration(key: 'findtime' | 'bantime', permanent: boolean): void {
    const value = this.#jail.options.get(key);
    if (!value) return;
    const place = this.#tree.place(value);
    const parsed = durationOf(value.text, permanent);
    if (typeof parsed === 'string') {
      this.#note('warning', `${key} ${parsed}: 10m is used`, { place, found: value.text });
      return;
    }
    if (parsed.remark) this.#note('warning', `${key} ${parsed.remark}`, { place, found: value.text });
    this.#set(key, formatDuration(parsed.seconds), place);
  }

  // --- Who is left alone -------------------------------------------------------------------------

  #ignored(): void {
    const { options } = this.#jail;
    const ignoreip = options.get('ignoreip');
    if (ignoreip && ignoreip.text.trim() !== '') {
      const place = this.#tree.place(ignoreip);
      const { kept, left } = ignoredOf(ignoreip.text);
      for (const [entry, reason] of left) this.#note('warning', `ignoreip: ${entry} ${reason}`, { place });
      if (kept.length > 0) this.#set('ignoreip', kept, place);
    }
    const ignoreself = options.get('ignoreself');
    if (ignoreself && !isYes(ignoreself.text)) this.#set('ignoreself', false, this.#tree.place(ignoreself));
    const command = options.get('ignorecommand');
    if (command && command.text.trim() !== '') {
      this.#note(
        'lost',
        'ignorecommand is refused: fail2zig runs no program for a log line; without it, sources that it spares would be banned',
        {
          place: this.#tree.place(command),
          found: command.text,
          hint: 'put their addresses into ignoreip, then set enabled = true',
        },
      );
    }
  }

  // --- What a ban cuts off -----------------------------------------------------------------------

  #reach(): void {
    const { options } = this.#jail;
    const action = options.get('action');
    const actions = readActions(this.#tree, action?.text ?? '');
    const place = action ? this.#tree.place(action) : '';
    const firewall = actions.filter(({ kind }) => kind === 'firewall');
    for (const { name, instead } of actions) {
      if (instead) this.#note('warning', `the action ${name} is not carried over`, { place, hint: instead });
    }
    if (action && action.text.trim() === '') {
      this.#note('lost', 'has no action: fail2ban bans nobody for it', { place, hint: 'set enabled = true to ban' });
    } else if (actions.length > 0 && actions.every(({ kind }) => kind === 'report')) {
      this.#note('lost', 'only reports: fail2ban bans nobody for it', { place, hint: 'set enabled = true to ban' });
    }
    const [first] = firewall;
    const given = (key: JailKey): { text: string; place: string } | undefined => {
      const own = first?.options.get(key);
      const value = options.get(key);
      if (own !== undefined) return { text: own, place: value ? this.#tree.place(value) : place };
      return value && { text: value.text, place: this.#tree.place(value) };
    };
    const port = given('port');
    if (port && !first?.allPorts) this.#ports(port);
    const protocol = given('protocol');
    if (protocol && !first?.allPorts) this.#protocol(protocol);
    const chain = given('chain');
    if (chain && /forward|docker/i.test(chain.text)) this.#set('hooks', ['input', 'forward'], chain.place);
    else if (chain && !/^<|^INPUT$/i.test(chain.text.trim()) && chain.text.trim() !== '') {
      this.#note('warning', `chain ${chain.text} does not exist here: bans apply at the input hook`, {
        place: chain.place,
        hint: 'hooks = ["input", "forward"] guards containers too',
      });
    }
    const block = given('blocktype');
    if (block && /^reject/i.test(block.text) && !/^drop/i.test(block.text)) this.#set('action', 'reject', block.place);
  }

  #ports({ text, place }: { text: string; place: string }): void {
    const { ports, unknown } = portsOf(text, this.#surroundings.portOf);
    if (unknown.length > 0) {
      this.#note('warning', `port: ${unknown.join(', ')} is not a known port: bans close every port`, {
        place,
        found: text,
      });
      this.#set('port', 'all', place);
    } else if (ports.length > 0) this.#set('port', ports.join(','), place);
  }

  #protocol({ text, place }: { text: string; place: string }): void {
    const words = text
      .toLowerCase()
      .split(/[\s,]+/)
      .filter((word) => word !== '');
    if (words.length === 0 || words.every((word) => word === 'tcp')) return;
    if (words.every((word) => word === 'tcp' || word === 'udp')) this.#set('protocol', [...new Set(words)], place);
    else if (words.includes('all')) this.#set('protocol', 'all', place);
    else this.#note('warning', `protocol ${text} does not exist here: tcp is used`, { place });
  }

  // --- The rest ----------------------------------------------------------------------------------

  #others(): void {
    const { options, own } = this.#jail;
    const timezone = options.get('logtimezone');
    if (timezone && timezone.text.trim() !== '' && !this.#isJournal)
      this.#set('timezone', timezoneOf(timezone.text), this.#tree.place(timezone));
    const encoding = options.get('logencoding');
    if (encoding && !/^(?:auto|utf-?8|ascii)$/i.test(encoding.text.trim())) {
      this.#note('info', 'logencoding is not needed: bytes are compared as they are', {
        place: this.#tree.place(encoding),
        found: encoding.text,
      });
    }
    for (const key of own) {
      if (!Object.hasOwn(needless, key)) continue;
      this.#note('info', `${key} changes nothing here: ${needless[key]}`, { place: this.#tree.place(this.#jail.line) });
    }
  }

  #set(key: string, value: Setting['value'], from: string): void {
    this.#settings.push({ key, value, from });
  }

  #placeOf(key: string): string {
    return this.#tree.place(this.#jail.options.get(key as JailKey) ?? this.#jail.line);
  }

  #note(weight: Note['weight'], text: string, more: Partial<Note> = {}): void {
    if (weight === 'lost') this.#lost = true;
    this.#notes.add({ weight, jail: this.#jail.name, place: '', text, ...more });
  }

  #freeName(name: string): string {
    return freeName(
      name,
      this.#plan.jails.map((jail) => jail.name),
    );
  }
}

/** Names of a plan's filters by their content. */
const filtersOf = new WeakMap<Plan, Map<string, string>>();

function freeName(name: string, taken: readonly string[]): string {
  if (!taken.includes(name)) return name;
  for (let number = 2; ; number++) {
    const other = `${name.slice(0, filterNameMax - 4)}-${number}`;
    if (!taken.includes(other)) return other;
  }
}
