/**
 * Where journals lie: below /run/log/journal and /var/log/journal, in the directory of this machine
 * and those of its namespaces (`<machine id>.<namespace>`). Other hosts and containers have theirs
 * beside it and may write there whatever they like: they are read only where the operator names a
 * directory. In one that he names, its own files and those of every machine below it are read.
 */
import { readFileSync } from 'node:fs';
import { journalNamesMax } from '../../limits.ts';
import { look, nextName, openDirectory } from '../place.ts';

export const systemDirectories = ['/run/log/journal', '/var/log/journal'];
const machineIdFile = '/etc/machine-id';
const idDigits = 32;

/** Whether a directory's name is that of a machine, or of a namespace of one. */
function isOfMachine(name: string): boolean {
  const isId =
    name.length >= idDigits && [...name.slice(0, idDigits)].every((digit) => '0123456789abcdef'.includes(digit));
  return isId && (name.length === idDigits || (name[idDigits] === '.' && name.length > idDigits + 1));
}

/** `~`: journald found it damaged, or it was not closed in time. */
function isJournal(name: string): boolean {
  return name.endsWith('.journal') || name.endsWith('.journal~');
}

/** This machine's id, or '' where it is not known: then every machine's directory counts. */
function machineId(): string {
  try {
    const id = readFileSync(machineIdFile, 'latin1').trim();
    return isOfMachine(id) ? id : '';
  } catch {
    return '';
  }
}

function names(directory: string): string[] {
  const opened = openDirectory(directory);
  try {
    const found: string[] = [];
    for (let name = nextName(opened); name !== null && found.length < journalNamesMax; name = nextName(opened))
      found.push(name);
    return found;
  } finally {
    opened.closeSync();
  }
}

export class JournalDirectories {
  readonly #named: readonly string[];
  /** Times of change of the directories that were read last. */
  #seen = new Map<string, bigint>();

  /** Empty: the system's. */
  constructor(named: readonly string[]) {
    this.#named = named;
  }

  /** Where journals are looked for. */
  get roots(): readonly string[] {
    return this.#named.length > 0 ? this.#named : systemDirectories;
  }

  /** Whether a name came or went since `files` was asked. A cheap question. */
  changed(): boolean {
    for (const [path, time] of this.#seen) if (timeOf(path) !== time) return true;
    return false;
  }

  /**
   * The journal files that are there, with their root's place in `roots`. `failed` is told of what
   * cannot be read.
   */
  files(failed: (path: string, error: Error) => void): { path: string; root: number }[] {
    const seen = new Map<string, bigint>();
    const found: { path: string; root: number }[] = [];
    const read = (path: string): string[] => {
      // The time first: what comes meanwhile is a change.
      const time = timeOf(path);
      seen.set(path, time);
      if (time === missing) return [];
      try {
        return names(path);
      } catch (error) {
        failed(path, error as Error);
        return [];
      }
    };
    const own = this.#named.length > 0 ? '' : machineId();
    for (const [root, directory] of this.roots.entries()) {
      const children = read(directory);
      const below = children.filter((name) => isOfMachine(name) && name.startsWith(own));
      const files = this.#named.length > 0 ? children.filter((name) => isJournal(name)) : [];
      found.push(...files.map((name) => ({ path: `${directory}/${name}`, root })));
      for (const machine of below) {
        const path = `${directory}/${machine}`;
        found.push(...read(path).flatMap((name) => (isJournal(name) ? [{ path: `${path}/${name}`, root }] : [])));
      }
    }
    this.#seen = seen;
    return found;
  }
}

const missing = -1n;

function timeOf(path: string): bigint {
  try {
    return look(path)?.mtimeNs ?? missing;
  } catch {
    return missing;
  }
}
