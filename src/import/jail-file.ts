/**
 * The jails of a fail2ban tree, with options as fail2ban reads them. Input: any tree.
 */
import { type FilterFile, readFilterFile } from './filter-file.ts';
import { treeJailsMax } from './limits.ts';
import type { Notes } from './notes.ts';
import { type Call, isYes, parseCall } from './options.ts';
import { type Configuration, type Resolved, type Tree, Unresolved } from './tree.ts';

/** The options that we use; others are reported if a jail sets them. */
export const jailKeys = [
  ...['backend', 'maxretry', 'findtime', 'bantime', 'ignoreip', 'ignoreself', 'ignorecommand', 'usedns'],
  ...['bantime.increment', 'bantime.factor', 'bantime.formula', 'bantime.multipliers', 'bantime.maxtime'],
  ...['bantime.rndtime', 'bantime.overalljails', 'logpath', 'logtimezone', 'logencoding'],
  ...['port', 'protocol', 'chain', 'action', 'banaction', 'banaction_allports', 'blocktype'],
  ...['failregex', 'ignoreregex', 'prefregex', 'datepattern', 'journalmatch', 'maxlines', 'mode'],
] as const;
export type JailKey = (typeof jailKeys)[number];

/** Options that have no effect here, each with the reason. */
export const needless: Record<string, string> = {
  maxmatches: 'lines are not kept',
  ignorecache: 'there is no ignorecommand',
  destemail: 'no mail is sent',
  sender: 'no mail is sent',
  mta: 'no mail is sent',
  fail2ban_agent: 'nothing is reported to others',
};

export interface JailFile {
  name: string;
  enabled: boolean;
  /** The place of its section. */
  line: { file: string; line: number };
  /** The filter and its options, as the jail names them. */
  filter?: Call;
  filterFile?: FilterFile;
  options: Map<JailKey, Resolved>;
  /** Options that the jail's own section sets. */
  own: string[];
  /** Why fail2ban would not start it, or an option that could not be resolved. */
  problems: [key: string, reason: string][];
}

/** The jails in the order of the tree. */
export function readJails(tree: Tree, notes: Notes, enabled: readonly string[]): JailFile[] {
  const configuration = tree.read('jail');
  if (!configuration) {
    notes.add({ weight: 'lost', jail: '', place: tree.folder, text: 'there is no jail.conf and no jail.local' });
    return [];
  }
  configuration.setDefault('fail2ban_version', '1.0.2');
  configuration.setDefault('fail2ban_confpath', tree.folder);
  const names = configuration.sections();
  if (names.length > treeJailsMax) {
    const text = `${names.length} jails, of which the first ${treeJailsMax} are read`;
    notes.add({ weight: 'lost', jail: '', place: 'jail.conf', text });
  }
  return names.slice(0, treeJailsMax).map((name) => readJail(tree, configuration, name, enabled.includes(name)));
}

function readJail(tree: Tree, configuration: Configuration, name: string, isWanted: boolean): JailFile {
  const own = configuration.own(name);
  const first = own
    .map((key) => configuration.raw(name, key))
    .find((value) => value !== undefined && value.file !== '');
  const jail: JailFile = {
    name,
    enabled: false,
    line: first ?? { file: configuration.files[0] ?? '', line: 1 },
    options: new Map(),
    own,
    problems: [],
  };
  const read = (key: string): Resolved | undefined => {
    try {
      return configuration.get(name, key);
    } catch (error) {
      if (!(error instanceof Unresolved)) throw error;
      jail.problems.push([key, error.message]);
      return undefined;
    }
  };
  const enabled = read('enabled');
  jail.enabled = isWanted || isYes(enabled?.text ?? '');
  if (enabled) jail.line = enabled.file === '' ? jail.line : enabled;
  // A disabled jail is not read further. But if `enabled` itself cannot be read, the jail may be an
  // enabled one and is read.
  if (!jail.enabled && jail.problems.length === 0) return jail;
  const backend = read('backend');
  readFilter(tree, configuration, jail, read('filter'), backend?.text ?? 'auto');
  for (const key of jailKeys) {
    const value = read(key);
    if (value) jail.options.set(key, value);
  }
  return jail;
}

function readFilter(
  tree: Tree,
  configuration: Configuration,
  jail: JailFile,
  named: Resolved | undefined,
  backend: string,
): void {
  if (!named || named.text.trim() === '') return;
  const call = parseCall(named.text);
  if (typeof call === 'string') {
    jail.problems.push(['filter', call]);
    return;
  }
  jail.filter = call;
  const file = readFilterFile(tree, call.name, call.options, backend.startsWith('systemd'));
  if (!file) return;
  jail.filterFile = file;
  for (const [key, value] of file.known) configuration.set(jail.name, `known/${key}`, value.text, value);
}
