/**
 * Edits of an audit log: a verification must find each of them.
 */
import { ChainCheck } from '../../src/commands/chain-check.ts';

/** The files of a log, the oldest first, and its seal behind them. */
export type Files = readonly string[];

/** What a verification finds in them. */
export function check(files: Files): ChainCheck {
  const found = new ChainCheck([], files.at(-1));
  files.slice(0, -1).forEach((text, at) => {
    const lines = text.split('\n');
    const rest = lines.pop()!;
    lines.forEach((line, index) => void found.line(`file ${at}`, index + 1, line, true));
    if (rest !== '') found.line(`file ${at}`, lines.length + 1, rest, false);
  });
  found.end(`file ${files.length - 2}`);
  return found;
}

const spliced = (text: string, at: number, count: number, put: string): string =>
  text.slice(0, at) + put + text.slice(at + count);

/** Three numbers choose what an edit does, and where. */
export type Edit = (files: Files, first: number, second: number, text: string) => Files;

const inFile = (change: (text: string, first: number, second: number, put: string) => string): Edit => {
  return (files, first, second, put) => {
    const at = first % files.length;
    return files.toSpliced(at, 1, change(files[at]!, Math.floor(first / files.length), second, put));
  };
};
const inLines = (change: (lines: string[], first: number, second: number, put: string) => string[]): Edit =>
  inFile((text, first, second, put) => change(text.split('\n'), first, second, put).join('\n'));

export const kinds: Record<string, Edit> = {
  'a byte is another': inFile((text, at, second) => {
    const place = at % text.length;
    return spliced(text, place, 1, String.fromCharCode(text.charCodeAt(place) ^ (1 << (second % 8))));
  }),
  'bytes are gone': inFile((text, at, second) => spliced(text, at % text.length, 1 + (second % 200), '')),
  'bytes are put in': inFile((text, at, _, put) => spliced(text, at % (text.length + 1), 0, put)),
  'a digit is another': inFile((text, at, second) => {
    const digits = [...text.matchAll(/[0-9]/g)];
    return spliced(text, digits[at % digits.length]!.index, 1, String(second % 10));
  }),
  'a line is gone': inLines((lines, at) => lines.toSpliced(at % lines.length, 1)),
  'a line stands twice': inLines((lines, at) => lines.toSpliced(at % lines.length, 0, lines[at % lines.length]!)),
  'two lines change places': inLines((lines, at, second) => {
    const [one, other] = [at % lines.length, second % lines.length];
    return lines.with(one, lines[other]!).with(other, lines[one]!);
  }),
  'a line is put in': inLines((lines, at, _, put) => lines.toSpliced(at % lines.length, 0, put)),
  'a line of another file is put in': (files, first, second) => {
    const lines = files[second % files.length]!.split('\n');
    return kinds['a line is put in']!(files, first, 0, lines[second % lines.length]!);
  },
  'the end is cut off': inFile((text, at) => text.slice(0, at % text.length)),
  'the beginning is cut off': inFile((text, at) => text.slice(1 + (at % text.length))),
  'a file is empty': inFile(() => ''),
  'two files change places': (files, first, second) => {
    const [one, other] = [first % files.length, second % files.length];
    return files.with(one, files[other]!).with(other, files[one]!);
  },
};
