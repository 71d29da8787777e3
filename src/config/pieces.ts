/**
 * The files of a configuration: the main one and, beside it, `*.toml` of a directory, in the order
 * of their names (`/etc/fail2zig.toml`, `/etc/fail2zig.d/*.toml`). Each must meet the conditions of
 * config/file.ts. So must the directory, here without the exception for a sticky one: whoever may
 * add a file to it decides what the daemon does. Claims T-01b, FM-3, X-pieces.
 */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { printable } from '../text/printable.ts';
import { ownerWarnings, readConfigFile, reasonOf, writableByAnyone } from './file.ts';
import { configBytesMax, configPiecesMax } from './limits.ts';
import { ConfigError, type Problem } from './problem.ts';
import { formatSize } from './size.ts';
import type { Piece } from './toml.ts';

/** The directory for pieces of the configuration at `path`: `NAME.d` for `NAME.toml` and `NAME`. */
export function piecesDirectory(path: string): string {
  return `${path.endsWith('.toml') ? path.slice(0, -'.toml'.length) : path}.d`;
}

export interface Pieces {
  /** The main file first. Unreadable ones are listed with their problems. */
  pieces: Piece[];
  warnings: string[];
}

/** Reads all files of the configuration at `path`. */
export function readPieces(path: string): Pieces {
  const warnings: string[] = [];
  const directory = piecesDirectory(path);
  let names: string[] = [];
  let refused: Piece | undefined;
  try {
    names = namesIn(directory, warnings);
  } catch (error) {
    refused = { path: directory, text: '', problems: problemsOf(error) };
  }
  const pieces = [path, ...names.map((name) => join(directory, name))].map((file) => readPiece(file, warnings));
  const last = refused ? undefined : firstBeyond(pieces);
  if (last !== undefined) {
    const reason = `makes the configuration larger than ${formatSize(configBytesMax)}`;
    pieces.length = last + 1;
    pieces[last] = { path: pieces[last].path, text: '', problems: [problem(reason)] };
  }
  return { pieces: refused ? [...pieces, refused] : pieces, warnings };
}

function readPiece(path: string, warnings: string[]): Piece {
  try {
    const read = readConfigFile(path);
    warnings.push(...read.warnings);
    return { path, text: read.text };
  } catch (error) {
    return { path, text: '', problems: problemsOf(error) };
  }
}

/** The piece with which all of them together exceed the size of one file. */
function firstBeyond(pieces: readonly Piece[]): number | undefined {
  let bytes = 0;
  const index = pieces.findIndex(({ text }) => {
    bytes += Buffer.byteLength(text);
    return bytes > configBytesMax;
  });
  return index === -1 ? undefined : index;
}

/** Names of the pieces, in order; empty if there is no directory. */
function namesIn(directory: string, warnings: string[]): string[] {
  const shown = printable(directory);
  const fail = (reason: string, hint?: string): never => {
    throw new ConfigError(shown, [problem(reason, hint)]);
  };
  let all: string[];
  try {
    if (lstatSync(directory, { throwIfNoEntry: false }) === undefined) return [];
    const stats = statSync(directory);
    if (!stats.isDirectory()) fail('is not a directory', 'it holds the files that continue the configuration');
    if ((stats.mode & writableByAnyone) !== 0) {
      fail('may be written by any user, who could then switch the protection off', `chmod o-w ${shown}`);
    }
    warnings.push(...ownerWarnings(stats, shown));
    all = readdirSync(directory).toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    return fail(`cannot be read: ${reasonOf(error)}`);
  }
  const names = all.filter((name) => name.endsWith('.toml') && !name.startsWith('.'));
  if (names.length > configPiecesMax) fail(`has ${names.length} files; at most ${configPiecesMax} are allowed`);
  for (const name of all) {
    if (names.includes(name) || name.startsWith('.') || name.startsWith('README')) continue;
    warnings.push(`${printable(join(directory, name))} is not read: its name does not end in .toml`);
  }
  return names;
}

function problem(reason: string, hint?: string): Problem {
  return { kind: 'file', line: 0, column: 0, key: '', reason, ...(hint !== undefined && { hint }) };
}

function problemsOf(error: unknown): Problem[] {
  if (error instanceof ConfigError) return error.problems;
  throw error;
}
