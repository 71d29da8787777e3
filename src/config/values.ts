/**
 * Parsers of single settings, one per type of value. Each takes any TOML value and returns the
 * parsed one or what is wrong.
 */

import { jailNameMax, messageFieldBytesMax, pathBytesMax, socketPathBytesMax } from '../limits.ts';
import { type AddressProblem, formatAddress, parseAddress, parseCidr } from '../text/address.ts';
import { printable } from '../text/printable.ts';
import { describe } from './describe.ts';
import {
  filterNameMax,
  ignoreEntriesMax,
  logPathsMax,
  logTagCharactersMax,
  logTagsMax,
  readDirectoriesMax,
  sampleLinesMax,
  serverUrlMax,
  statePathBytesMax,
  xdpInterfacesMax,
} from './limits.ts';
import { nearest } from './nearest.ts';
import { accept, type Parsed, type Refused, refuse } from './parsed.ts';

export function parseBoolean(value: unknown): Parsed<boolean> {
  if (typeof value === 'boolean') return accept(value);
  const word = typeof value === 'string' ? value.toLowerCase() : '';
  const hint = ['true', 'yes', 'on'].includes(word)
    ? 'true'
    : ['false', 'no', 'off'].includes(word)
      ? 'false'
      : undefined;
  return refuse(`expected true or false, found ${describe(value)}`, hint && `write ${hint} without quotes`);
}

export function parseInteger(value: unknown, min: number, max: number, tooLarge?: string): Parsed<number> {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    const digits = typeof value === 'string' && /^-?[0-9]{1,9}$/.test(value.trim());
    return refuse(
      `expected an integer, found ${describe(value)}`,
      digits ? `write ${Number(value)} without quotes` : undefined,
    );
  }
  if (value < min) return refuse(`must be at least ${min}, found ${value}`);
  if (value > max) return refuse(`must be at most ${max}, found ${value}`, tooLarge);
  return accept(value);
}

/** One of `words`. */
export function parseWord<Word extends string>(value: unknown, words: readonly Word[]): Parsed<Word> {
  const listed = words.map((word) => `"${word}"`).join(', ');
  if (typeof value !== 'string') return refuse(`expected one of ${listed}, found ${describe(value)}`);
  const found = words.find((word) => word === value);
  if (found !== undefined) return accept(found);
  const close = nearest(value, words);
  return refuse(`expected one of ${listed}, found ${describe(value)}`, close && `did you mean "${close}"?`);
}

/** A key of a JSON object, as it is written. */
export function parseMessageField(value: unknown): Parsed<string> {
  if (typeof value !== 'string') return refuse(`expected the name of a field, found ${describe(value)}`);
  if (value === '' || Buffer.byteLength(value) > messageFieldBytesMax)
    return refuse(`must have 1 to ${messageFieldBytesMax} bytes`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a key that holds them is written otherwise
  return /["\\\x00-\x1f]/.test(value) ? refuse('must hold no quote, backslash or control character') : accept(value);
}

export function parseText(value: unknown): Parsed<string> {
  return typeof value === 'string' ? accept(value) : refuse(`expected a string, found ${describe(value)}`);
}

/** A name of letters, digits, `_`, `-` and `.`, which starts with a letter or digit. */
export function parseName(value: unknown, lengthMax: number): Parsed<string> {
  if (typeof value !== 'string') return refuse(`expected a name, found ${describe(value)}`);
  if (value.length > lengthMax) return refuse(`is longer than ${lengthMax} characters`);
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(value)) {
    return refuse(
      `"${printable(value, 60)}" is not a usable name`,
      'use letters, digits, "_", "-" and ".", a letter or digit first',
    );
  }
  return accept(value);
}

export function parseJailName(name: string): Parsed<string> {
  return parseName(name, jailNameMax);
}

export function parseFilterName(value: unknown): Parsed<string> {
  return parseName(value, filterNameMax);
}

/**
 * syslog identifiers: one or a list. The last character may be `*`; alone it means all. An empty
 * one in a list means lines without an identifier.
 */
export function parseLogTags(value: unknown): Parsed<string[]> {
  return parseList(value, logTagsMax, 'identifier', (item) => {
    if (typeof item !== 'string') return refuse(`expected a syslog identifier, found ${describe(item)}`);
    if (item === '' && Array.isArray(value) && value.length > 1) return accept('');
    if (item === '') return refuse('a syslog identifier is empty', 'leave log_tag out for lines without one');
    if (item.length > logTagCharactersMax) return refuse(`is longer than ${logTagCharactersMax} characters`);
    const shown = `"${printable(item, 60)}"`;
    if (!/^[!-~]+$/.test(item)) return refuse(`${shown} is not a syslog identifier`, 'it has no blanks');
    if (/:$|\[[0-9]*\]:?$/.test(item)) {
      return refuse(`${shown} is more than the syslog identifier`, 'leave out the pid and the colon');
    }
    if (item.slice(0, -1).includes('*')) return refuse(`${shown} holds a "*" that is not at its end`);
    return accept(item);
  });
}

/** Lines of a log: one or a list. */
export function parseSampleLines(value: unknown): Parsed<string[]> {
  return parseList(value, sampleLinesMax, 'line', (item) => {
    if (typeof item !== 'string') return refuse(`expected a log line, found ${describe(item)}`);
    return /[\r\n]/.test(item)
      ? refuse('expected one line, found a line end in it', 'write a list of lines')
      : accept(item);
  });
}

/** A table name that nft's grammar accepts without quotes. */
export function parseTableName(value: unknown): Parsed<string> {
  if (typeof value === 'string' && /^[A-Za-z][A-Za-z0-9_-]{0,30}$/.test(value)) return accept(value);
  return refuse(
    `expected a table name, found ${describe(value)}`,
    'use up to 31 letters, digits, "_" and "-", a letter first',
  );
}

/** An absolute path without control characters, `.` or `..`. */
function parsePath(value: unknown, bytesMax: number): Parsed<string> {
  if (typeof value !== 'string') return refuse(`expected an absolute path, found ${describe(value)}`);
  if (!value.startsWith('/')) {
    return refuse(`expected an absolute path, found ${describe(value)}`, 'a path starts with "/"');
  }
  if (Buffer.byteLength(value) > bytesMax) return refuse(`is longer than ${bytesMax} bytes`);
  for (const character of value) {
    if (character < ' ' || character === '\x7f') return refuse('the path holds a control character');
  }
  if (value.split('/').some((part) => part === '..' || part === '.')) {
    return refuse(`the path "${printable(value, 60)}" holds "." or ".."`, 'write the path in full');
  }
  return accept(value);
}

/** Names of network interfaces that the kernel accepts (dev_valid_name of net/core/dev.c). */
export function parseInterfaces(value: unknown): Parsed<string[]> {
  return parseList(value, xdpInterfacesMax, 'interface', (item) => {
    const name = parseText(item);
    if (!name.ok) return name;
    const isUsable = /^[\x21-\x7e]{1,15}$/.test(name.value) && !/[/:]|^\.{1,2}$/.test(name.value);
    return isUsable ? name : refuse(`"${printable(name.value, 60)}" is not the name of an interface`);
  });
}

export function parseSocketPath(value: unknown): Parsed<string> {
  const path = parsePath(value, socketPathBytesMax);
  if (path.ok && path.value.endsWith('/')) return refuse(`"${printable(path.value, 60)}" is a directory, not a socket`);
  return path;
}

/** The path of the state file. */
export function parseStatePath(value: unknown): Parsed<string> {
  const path = parsePath(value, statePathBytesMax);
  if (path.ok && path.value.endsWith('/')) {
    return refuse(`"${printable(path.value, 60)}" is a directory`, `write "${printable(path.value, 60)}state"`);
  }
  return path;
}

/** A file that is read. */
export function parseFilePath(value: unknown): Parsed<string> {
  const path = parsePath(value, statePathBytesMax);
  return path.ok && path.value.endsWith('/') ? refuse(`"${printable(path.value, 60)}" is a directory`) : path;
}

/** A directory. */
export function parseDirectory(value: unknown): Parsed<string> {
  const path = parsePath(value, statePathBytesMax);
  if (path.ok && /[*?]/.test(path.value)) return refuse(`"${printable(path.value, 60)}" holds a wildcard`, 'name it');
  return path;
}

/** One directory or a list of them. */
export function parseDirectories(value: unknown): Parsed<string[]> {
  return parseList(value, readDirectoriesMax, 'directory', parseDirectory);
}

/** A server's address: scheme, host, port and an optional path prefix. */
export function parseServerUrl(value: unknown): Parsed<string> {
  if (typeof value !== 'string') return refuse(`expected a URL, found ${describe(value)}`);
  const hint = 'write "https://lapi.example.net:8080"';
  const url = URL.parse(value);
  if (url === null || value.length > serverUrlMax || !/^https?:$/.test(url.protocol))
    return refuse(`"${printable(value, 60)}" is not the URL of a server`, hint);
  if (url.username !== '' || url.password !== '') return refuse('the URL holds a password', 'name password_file');
  if (url.search !== '' || url.hash !== '') return refuse(`"${printable(value, 60)}" holds "?" or "#"`, hint);
  return accept(url.href);
}

/** One path or a list of them, each with the globs `*` and `?`. */
export function parseLogPaths(value: unknown): Parsed<string[]> {
  return parseList(value, logPathsMax, 'log path', (item) => {
    const path = parsePath(item, pathBytesMax);
    if (!path.ok) return path;
    if (path.value.includes('**'))
      return refuse('"**" is not supported', 'name the directories, or use "*" for one level');
    const braces = /[[\]{}]/.exec(path.value);
    if (braces !== null) {
      return refuse(
        `"${printable(path.value, 60)}" holds "${braces[0]}": only "*" and "?" are wildcards`,
        'name each path, or write "?" for one character',
      );
    }
    if (/ (tail|head)$/.test(path.value)) {
      return refuse(
        `"${printable(path.value, 60)}" ends in an option of fail2ban's`,
        'leave it out: reading continues where it stopped, and a new file is read from findtime ago',
      );
    }
    if (path.value.endsWith('/')) {
      return refuse(
        `"${printable(path.value, 60)}" is a directory`,
        `write "${printable(path.value, 60)}*" for its files`,
      );
    }
    return path;
  });
}

const whyNoAddress: Record<AddressProblem, [string, string]> = {
  'not-an-address': ['is not an address or prefix', 'write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32'],
  'bad-prefix': ['has a wrong prefix length', 'IPv4 has 0 to 32 bits, IPv6 0 to 128'],
  'host-bits': ['has bits set below its prefix', 'write the first address of the prefix'],
};

/**
 * Addresses and prefixes: a list, or one string with spaces or commas between them. Results are in
 * their shortest form.
 */
export function parseIgnored(value: unknown): Parsed<string[]> {
  const items = typeof value === 'string' ? value.split(/[\s,]/).filter((item) => item !== '') : value;
  if (Array.isArray(items) && items.length === 0) return accept([]);
  const parsed = parseList(items, ignoreEntriesMax, 'address', parseIgnoredItem);
  // The parts of a string have no place of their own in the file.
  return parsed.ok || Array.isArray(value) ? parsed : refuse(parsed.reason, parsed.hint);
}

function parseIgnoredItem(item: unknown): Parsed<string> {
  if (typeof item !== 'string') return refuse(`expected an address or prefix, found ${describe(item)}`);
  const address = parseCidr(item, 'clear');
  if (typeof address !== 'string') {
    if (address.prefix > 0) return accept(formatAddress(address));
    return refuse(`"${printable(item, 60)}" is every address: nobody would be banned`, 'name your own networks');
  }
  const [reason, hint] = whyNoAddress[address];
  const looksLikeHost = /^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.?[A-Za-z]$/.test(item);
  return refuse(
    `"${printable(item, 60)}" ${looksLikeHost ? 'is a host name' : reason}`,
    looksLikeHost ? 'write its addresses: host names are never resolved' : hint,
  );
}

/** An address to listen on. */
export function parseBind(value: unknown): Parsed<string> {
  const address = typeof value === 'string' ? parseAddress(value) : undefined;
  if (address) return accept(formatAddress(address));
  return refuse(`expected an address to listen on, found ${describe(value)}`, 'write "127.0.0.1" or "::1"');
}

/** Whether an address is reachable from this host only; a name never is. */
export function isLoopback(text: string): boolean {
  return text === '::1' || /^127\.[0-9.]+$/.test(text);
}

/** One of `words`, or a list of them without repetition, in the order of `words`. */
export function parseWords<Word extends string>(value: unknown, words: readonly Word[]): Parsed<Word[]> {
  const list = parseList(value, words.length, 'entry', (item) => parseWord(item, words));
  if (!list.ok) return list;
  return accept(words.filter((word) => list.value.includes(word)));
}

/** A single value or a non-empty list; the index of a refused element is kept. */
function parseList<T>(value: unknown, max: number, noun: string, parse: (item: unknown) => Parsed<T>): Parsed<T[]> {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  if (items.length === 0) return refuse(`expected at least one ${noun}, found an empty list`);
  if (items.length > max) return refuse(`more than ${max} entries`);
  const result: T[] = [];
  const refused: Refused[] = [];
  for (const [index, item] of items.entries()) {
    const parsed = parse(item);
    if (!parsed.ok) refused.push(Array.isArray(value) ? { ...parsed, index } : parsed);
    else if (!result.includes(parsed.value)) result.push(parsed.value);
  }
  const [first, ...more] = refused;
  return first === undefined ? accept(result) : { ...first, more };
}
