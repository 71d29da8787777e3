/**
 * A filter of fail2ban as a jail uses it: `filter.d/NAME.conf` with its `.local`, the jail's
 * `[options]` and all interpolations. Input: any tree.
 */
import { replaceTags } from './options.ts';
import { type Configuration, prefixMark, type Resolved, type Tree, Unresolved } from './tree.ts';

/**
 * The parts of a filter that we use, interpolated; absent: not set, or not available (`problems`).
 */
export interface FilterFile {
  name: string;
  failregex?: Resolved;
  ignoreregex?: Resolved;
  prefregex?: Resolved;
  datepattern?: Resolved;
  journalmatch?: Resolved;
  maxlines?: Resolved;
  mode?: Resolved;
  /** A regular expression. */
  daemon?: Resolved;
  /** All options, for `%(known/option)s` of the jail. */
  known: ReadonlyMap<string, Resolved>;
  files: readonly string[];
  /** Options that could not be resolved: name and reason. */
  problems: Map<string, string>;
}

const wanted = ['failregex', 'ignoreregex', 'prefregex', 'datepattern', 'journalmatch', 'maxlines', 'mode'] as const;

/** Options of one filter that a jail may refer to; others are ignored. */
const knownMax = 200;

/** undefined if the tree has no such filter. */
export function readFilterFile(
  tree: Tree,
  name: string,
  options: ReadonlyMap<string, string>,
  journal: boolean,
): FilterFile | undefined {
  if (!/^[^/\0]+$/.test(name) || name.startsWith('.')) return undefined;
  const configuration = tree.read(`filter.d/${name}`);
  if (!configuration) return undefined;
  const reading = new Reading(configuration, options, journal);
  const filter: FilterFile = { name, known: new Map(), files: configuration.files, problems: reading.problems };
  for (const key of wanted) {
    const value = reading.value(key);
    if (value) filter[key] = value;
  }
  const daemon = reading.value('_daemon');
  if (daemon) filter.daemon = daemon;
  const known = new Map<string, Resolved>();
  for (const key of reading.keys().slice(0, knownMax)) {
    const value = reading.value(key);
    if (value) known.set(key, value);
  }
  filter.known = known;
  return filter;
}

class Reading {
  readonly problems = new Map<string, string>();
  readonly #configuration: Configuration;
  /** The jail's options, and further ones from [Init]. */
  readonly #given = new Map<string, string>();
  readonly #init = new Map<string, string>();

  constructor(configuration: Configuration, options: ReadonlyMap<string, string>, journal: boolean) {
    this.#configuration = configuration;
    for (const [key, value] of options) this.#given.set(key, value);
    if (!configuration.own('Definition').includes('logtype') && !this.#given.has('logtype')) {
      this.#init.set('logtype', journal ? 'journal' : 'file');
    }
    for (const key of configuration.own('Init')) {
      if (key.startsWith('known/')) continue;
      const value = this.#try(key, () => configuration.get('Init', key)?.text);
      if (value === undefined) continue;
      this.#init.set(`known/${key}`, value);
      if (!this.#given.has(key)) this.#init.set(key, value);
    }
  }

  keys(): string[] {
    return [...new Set([...this.#configuration.own('Definition'), ...this.#given.keys()])];
  }

  value(key: string): Resolved | undefined {
    return this.#try(key, () => {
      const given = this.#given.get(key) ?? this.#init.get(key);
      const from =
        given === undefined
          ? this.#configuration.get('Definition', key, this.#given)
          : { text: given, file: this.#configuration.files[0] ?? '', line: 1 };
      if (!from) return undefined;
      return { ...from, text: replaceTags(key, from.text, (tag) => this.#tag(tag)) };
    });
  }

  #tag(tag: string): string | undefined {
    if (/^lt_[a-z0-9]+\/__prefix_line$/.test(tag)) {
      const text = this.#configuration.raw(tag.split('/')[0] as string, '__prefix_line')?.text;
      if (text !== undefined && /__daemon_re|__pid_re|__daemon_combs_re|lt_/.test(text)) return prefixMark;
    }
    return this.#given.get(tag) ?? this.#init.get(tag) ?? this.#configuration.tagged('Definition', tag, this.#given);
  }

  #try<T>(key: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Unresolved)) throw error;
      this.problems.set(key, error.message);
      return undefined;
    }
  }
}
