/**
 * `fail2zig audit verify|show|export`: reads the audit log, whether the daemon runs or not. Exit
 * status: 0, 1 if the log is not intact, 2 wrong usage, 66 (EX_NOINPUT) if there is no log, or it
 * cannot be read.
 */
import type { Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { parseDuration } from '../config/duration.ts';
import { defaultConfigPath, loadConfig } from '../config/load.ts';
import { fileAt, sealBytes, sealPath } from '../history/chain.ts';
import { type Event, eventOf, openToRead } from '../history/event.ts';
import { auditFilesMax, historyReadBytes, logFieldMax } from '../limits.ts';
import { textOf } from '../log.ts';
import { jsonText } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import { ChainCheck, type Finding, type Known } from './chain-check.ts';
import { exitUsage, explain, parseOptions } from './options.ts';

export const usage = `fail2zig audit: read the log of bans, refusals and commands

  verify [FILE…]    whether it is intact: what was changed, removed, moved or cut off, and where
  show              its records, for people
  export            its lines, for a copy on another host

  --config FILE     the configuration that says where it is (${defaultConfigPath})
  --log FILE        the log itself
  --known FILE      verify: compare with a copy, an earlier export or the output of
                    \`journalctl -o json FAIL2ZIG_EVENT=seal\`; - is standard input
  --json            verify: one JSON object on one line
  --after NUMBER    show, export: records after this one
  --since DURATION  show: only the newest

FILE is an export or a copy. Without FILE the seal beside the log is checked too.
`;

const exitNotWhole = 1;
const exitNoInput = 66;
/** Findings that are printed; the others are counted. */
const shownMax = 50;

interface Settings {
  log: string;
  files: readonly string[];
  known: string | undefined;
  json: boolean;
  after: number;
  since: number;
}

const actions: Record<string, (settings: Settings) => Promise<number>> = { verify, show, export: exportLog };

export async function run(argv: string[]): Promise<number> {
  const parsed = parseOptions(
    'fail2zig audit',
    argv,
    {
      ...{ config: { type: 'string' }, log: { type: 'string' }, known: { type: 'string' }, after: { type: 'string' } },
      ...{ since: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
    } as const,
    true,
  );
  if (!parsed) return exitUsage;
  const { config, log, known, json = false, help, after = '0', since } = parsed.values;
  const [name = '', ...files] = parsed.positionals;
  if (help) {
    process.stdout.write(usage);
    return 0;
  }
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action === undefined) return complain(exitUsage, 'say verify, show or export');
  if (!/^[0-9]{1,15}$/.test(after)) return complain(exitUsage, '--after needs the number of a record');
  if (files.length > 0 && name !== 'verify') return complain(exitUsage, `"${printable(files[0]!)}" is too much`);
  const seconds = since === undefined ? undefined : parseDuration(since, false);
  if (seconds?.ok === false) return complain(exitUsage, `--since: ${seconds.reason}`);
  try {
    const path = log ?? (files.length > 0 ? '' : pathOf(config));
    return await action({
      ...{ log: path, files, known, json, after: Number(after) },
      since: seconds === undefined ? 0 : Date.now() / 1000 - (seconds.value as number),
    });
  } catch (error) {
    return complain(exitNoInput, explain(error as Error));
  }
}

/** Where the daemon with this configuration keeps it; a dry run has its own. */
function pathOf(path = defaultConfigPath): string {
  const { state, firewall } = loadConfig(path).config;
  return `${state.path}${firewall.backend === 'log-only' ? '.dry-run' : ''}.history`;
}

function complain(status: number, message: string): number {
  process.stderr.write(`fail2zig audit: ${message}\n`);
  return status;
}

/** An open file and its name. */
interface Opened {
  path: string;
  handle: FileHandle;
}

/** The files of a log, the oldest first; all opened at once, since they are renamed meanwhile. */
async function openLog(log: string): Promise<Opened[]> {
  const opened: Opened[] = [];
  let newer: Stats | undefined;
  for (let age = 0; age <= auditFilesMax; age++) {
    const path = fileAt(log, age);
    const handle = await openToRead(path);
    if (handle === undefined) continue;
    const kind = await handle.stat();
    // It was renamed in between.
    if (kind.ino === newer?.ino && kind.dev === newer.dev) await handle.close();
    else opened.unshift({ path, handle });
    newer = kind;
  }
  if (opened.length === 0) throw Object.assign(new Error('no audit log'), { path: log, code: 'ENOENT' });
  return opened;
}

async function* linesOf({ handle }: Opened): AsyncGenerator<{ text: string; isEnded: boolean }> {
  const bytes = Buffer.alloc(historyReadBytes);
  let rest = '';
  for (;;) {
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, null);
    if (bytesRead === 0) break;
    const lines = (rest + bytes.toString('latin1', 0, bytesRead)).split('\n');
    rest = lines.pop() as string;
    for (const text of lines) yield { text, isEnded: true };
  }
  if (rest !== '') yield { text: rest, isEnded: false };
  await handle.close();
}

/** The content of the seal file; '' if there is none. */
async function readSeal(log: string): Promise<string> {
  const file = await openToRead(sealPath(log));
  if (file === undefined) return '';
  const { buffer, bytesRead } = await file.read(Buffer.alloc(sealBytes + 1), 0, sealBytes + 1, 0);
  await file.close();
  return buffer.toString('latin1', 0, bytesRead);
}

/** Numbers and hashes of the lines of an export, or of entries of the journal. */
async function readKnown(path: string): Promise<Known[]> {
  const handle = path === '-' ? await open('/dev/stdin') : await openToRead(path);
  if (handle === undefined) throw Object.assign(new Error('no such file'), { path, code: 'ENOENT' });
  const known: Known[] = [];
  for await (const { text } of linesOf({ path, handle })) {
    const row = parsedRow(text);
    const number = Number(row.number ?? row.FAIL2ZIG_NUMBER ?? Number.NaN);
    const hash = row.hash ?? row.FAIL2ZIG_HASH;
    if (Number.isSafeInteger(number) && typeof hash === 'string') known.push({ number, hash, by: printable(path) });
  }
  if (known.length === 0) throw new Error(`${path} names no record`);
  return known;
}

function parsedRow(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/**
 * One pass over a log, or over copies of one. The seal is read first: then the log holds at least
 * what it names.
 */
async function lookAt({ log, files }: Settings, known: readonly Known[]) {
  const isCopy = files.length > 0;
  const seal = isCopy ? undefined : await readSeal(log);
  const check = new ChainCheck(known, seal);
  const opened = isCopy ? await openCopies(files) : await openLog(log);
  for (const file of opened) {
    let line = 0;
    for await (const { text, isEnded } of linesOf(file)) check.line(file.path, ++line, text, isEnded);
  }
  check.end(opened.at(-1)!.path);
  return { check, seal };
}

async function openCopies(files: readonly string[]): Promise<Opened[]> {
  const opened: Opened[] = [];
  for (const path of files) {
    const handle = await openToRead(path);
    if (handle === undefined) throw Object.assign(new Error('no such file'), { path, code: 'ENOENT' });
    opened.push({ path, handle });
  }
  return opened;
}

async function verify(settings: Settings): Promise<number> {
  const known = settings.known === undefined ? [] : await readKnown(settings.known);
  let { check, seal } = await lookAt(settings, known);
  // The daemon may write meanwhile, so a finding must show up again.
  for (let looks = 0; looks < 3 && check.findings.length > 0 && seal !== undefined; looks++) {
    if ((await readSeal(settings.log)) === seal) break;
    ({ check, seal } = await lookAt(settings, known));
  }
  const { findings, notes, records, first = 0, last, unsealed } = check;
  if (settings.json) {
    const isWhole = findings.length === 0;
    process.stdout.write(`${jsonText({ whole: isWhole, records, first, last, unsealed, findings, notes })}\n`);
  } else {
    process.stdout.write(findings.slice(0, shownMax).map(lineOf).join(''));
    if (findings.length > shownMax) process.stdout.write(`${findings.length - shownMax} more\n`);
    process.stdout.write(notes.slice(0, shownMax).map(lineOf).join(''));
    const sealed = settings.files.length > 0 ? 'no seal was looked at' : `${unsealed} of them unsealed`;
    const verdict = findings.length === 0 ? 'whole' : 'NOT WHOLE';
    const range = records === 0 ? 'no records' : `records ${first} to ${last}, ${sealed}`;
    process.stdout.write(`${verdict}: ${range}\n`);
  }
  return findings.length === 0 ? 0 : exitNotWhole;
}

const lineOf = ({ file, line, problem }: Finding): string =>
  `${printable(file)}:${line > 0 ? `${line}:` : ''} ${problem}\n`;

/** The events after a number, each with the lines since the one before and its own. */
async function* eventsOf({ log, after }: Settings): AsyncGenerator<{ event: Event; lines: string[] }> {
  let lines: string[] = [];
  for (const file of await openLog(log)) {
    for await (const { text, isEnded } of linesOf(file)) {
      const event = isEnded ? eventOf(text) : undefined;
      lines.push(text);
      if (event === undefined) continue;
      if (event.number > after) yield { event, lines };
      lines = [];
    }
  }
}

async function show(settings: Settings): Promise<number> {
  for await (const { event } of eventsOf(settings)) {
    if (event.at < settings.since) continue;
    const { number, at, event: kind, hash: _, addresses, by, ...rest } = event;
    const fields = { address: addresses?.join(' '), ...rest, ...by };
    process.stdout.write(`${number} ${new Date(at * 1000).toISOString()} ${textOf(kind, fields, logFieldMax * 4)}\n`);
  }
  return 0;
}

async function exportLog(settings: Settings): Promise<number> {
  for await (const { lines } of eventsOf(settings)) {
    const text = lines.map((line) => `${line}\n`).join('');
    if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
  return 0;
}
