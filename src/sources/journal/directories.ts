/**
 * Finds journals: below /run/log/journal and /var/log/journal, in the directory of this machine and
 * those of its namespaces (`<machine id>.<namespace>`). Other hosts and containers have their own
 * directories beside it and may write anything there: those are read only if the operator names
 * one. In a named directory, its own files and those of every machine below it are read.
 */
import { readFileSync } from 'node:fs';
import { journalNamesMax } from '../../limits.ts';
import { look, nextName, openDirectory } from '../place.ts';

export const systemDirectories = ['/run/log/journal', '/var/log/journal'];
const machineIdFile = '/etc/machine-id';
const idDigits = 32;

/** Whether a directory's name is that of a machine, or of a namespace of it. */
function isOfMachine(name: string): boolean {
  const isId =
    name.length >= idDigits && [...name.slice(0, idDigits)].every((digit) => '0123456789abcdef'.includes(digit));
  return isId && (name.length === idDigits || (name[idDigits] === '.' && name.length > idDigits + 1));
}

/** `~`: journald found the file damaged, or it was not closed properly. */
function isJournal(name: string): boolean {
  return name.endsWith('.journal') || name.endsWith('.journal~');
}

/** This machine's id, or '' if unknown: then every machine's directory counts. */
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
  /** Modification times of the directories at their last reading. */
  #seen = new Map<string, bigint>();

  /** Empty: the system's directories. */
  constructor(named: readonly string[]) {
    this.#named = named;
  }

  /** The directories to search. */
  get roots(): readonly string[] {
    return this.#named.length > 0 ? this.#named : systemDirectories;
  }

  /** Whether a name appeared or disappeared since the last call of `files`. Cheap. */
  changed(): boolean {
    for (const [path, time] of this.#seen) if (timeOf(path) !== time) return true;
    return false;
  }

  /**
   * The existing journal files, each with the index of its root in `roots`. `failed` is called for
   * what cannot be read.
   */
  files(failed: (path: string, error: Error) => void): { path: string; root: number }[] {
    const seen = new Map<string, bigint>();
    const found: { path: string; root: number }[] = [];
    const read = (path: string): string[] => {
      // Read the time first: whatever comes later counts as a change.
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
