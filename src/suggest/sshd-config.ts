/**
 * The ports on which this host's sshd listens, from its configuration: Port and ListenAddress of
 * sshd_config(5) with its Include files, and ListenStream of systemd's ssh.socket. Match blocks are
 * skipped; sshd allows no ports in them. Input: root's files, bounded in number, depth and size; a
 * file that is missing or unreadable is skipped.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { matchingPaths } from '../import/log-files.ts';
import { includeDepthMax, settingsFileBytesMax, sshdFilesMax } from './limits.ts';

const configPath = '/etc/ssh/sshd_config';
const sshPort = 22;

/** The port in the text of one setting, 1 to 65535, or undefined. */
function portOf(text: string | undefined): number | undefined {
  const port = /^[0-9]{1,5}$/.test(text ?? '') ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** The text of a file below `root`; '' where it cannot be read. */
export function readBelow(root: string, path: string): string {
  try {
    const stats = statSync(root + path);
    return stats.isFile() && stats.size <= settingsFileBytesMax ? readFileSync(root + path, 'utf8') : '';
  } catch {
    return '';
  }
}

/**
 * Keyword (lower case) and values of a line; quotes may hold blanks, and "=" may follow the
 * keyword.
 */
function wordsOf(line: string): string[] {
  const [, keyword = '', rest = ''] = /^\s*([A-Za-z]+)\s*[\s=]\s*(.*)$/.exec(line) ?? [];
  const values: string[] = [];
  for (const [word, quoted] of rest.matchAll(/"([^"]*)"|[^\s"]+/g)) {
    if (word.startsWith('#')) break;
    values.push(quoted ?? word);
  }
  return [keyword.toLowerCase(), ...values];
}

interface Listening {
  ports: number[];
  /** ListenAddress: with a port of its own, or for every Port. */
  addresses: (number | 'every')[];
  files: number;
}

function readFile(root: string, path: string, depth: number, found: Listening): void {
  if (depth > includeDepthMax || found.files >= sshdFilesMax) return;
  found.files++;
  for (const line of readBelow(root, path).split('\n')) {
    const [keyword, ...values] = wordsOf(line);
    // A Match block reaches to the end of its file.
    if (keyword === 'match') return;
    if (keyword === 'include') {
      for (const value of values) {
        const pattern = value.startsWith('/') ? value : `/etc/ssh/${value}`;
        for (const each of filesOf(root, pattern)) readFile(root, each, depth + 1, found);
      }
    }
    const [value = ''] = values;
    const port = portOf(value);
    if (keyword === 'port' && port !== undefined) found.ports.push(port);
    // `host`, `host:port`, `[host]`, `[host]:port`; an IPv6 address without brackets has no port.
    if (keyword === 'listenaddress' && value !== '') {
      const [, own] = /^(?:\[[^\]]*\]|[^:]*):([0-9]+)$/.exec(value) ?? [];
      found.addresses.push(portOf(own) ?? 'every');
    }
  }
}

/** Sorted by name, as glob(3) does it. */
function filesOf(root: string, pattern: string): string[] {
  try {
    return matchingPaths(root + pattern, sshdFilesMax)
      .toSorted()
      .map((path) => path.slice(root.length));
  } catch {
    // A pattern that our globs do not support, such as one with "..".
    return [];
  }
}

/** ListenStream in the socket unit and its drop-ins. */
function socketPorts(root: string): number[] {
  const ports: number[] = [];
  for (const unit of ['ssh.socket', 'sshd.socket']) {
    const home = `/etc/systemd/system/${unit}`;
    const dropIns = namesBelow(root, `${home}.d`).filter((name) => name.endsWith('.conf'));
    for (const path of [home, ...dropIns.map((name) => `${home}.d/${name}`)]) {
      for (const [, value] of readBelow(root, path).matchAll(/^\s*ListenStream\s*=\s*(\S+)\s*$/gm)) {
        const port = portOf(value?.slice(value.lastIndexOf(':') + 1));
        if (port !== undefined) ports.push(port);
      }
    }
  }
  return ports;
}

function namesBelow(root: string, path: string): string[] {
  try {
    return readdirSync(root + path).toSorted();
  } catch {
    return [];
  }
}

/** Sorted; 22 if nothing is configured. */
export function sshdPorts(root: string): number[] {
  const found: Listening = { ports: [], addresses: [], files: 0 };
  readFile(root, configPath, 0, found);
  const every = found.ports.length > 0 ? found.ports : [sshPort];
  const listened = found.addresses.length > 0 ? found.addresses : ['every' as const];
  const own = listened.flatMap((each) => (each === 'every' ? every : [each]));
  return [...new Set([...own, ...socketPorts(root)])].toSorted((one, other) => one - other);
}
