/**
 * What a backend says to the kernel and what the kernel answers, call by call: recorded in a
 * network namespace, and replayed where there is no kernel to change. A replay refuses every call
 * that is not the next one of the recording, byte for byte. So it shows that the code still sends
 * what a real kernel has accepted, and that it reads what a real kernel has answered.
 *
 * A line is a call: its name, its arguments, `=` and the result, then what the kernel wrote into
 * the arguments (`> index:bytes`). Bytes are hexadecimal, `(7)` are seven zeros; long ones that the
 * kernel only reads are a SHA-256.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { native } from '../../src/native.ts';

/** Longer questions are kept as a checksum, bytes. */
const plainBytesMax = 1500;
/** So are all that are longer than this, even if they are mostly zeros: a verifier's log is not. */
const emptyBytesMax = 64 * 1024;
/** Numbers of descriptors in recordings begin here: no process that replays one has so many. */
const firstDescriptor = 700;
/** Files that are read and written as part of a recording. */
const isRecorded = (path: unknown): path is string => typeof path === 'string' && /^\/(proc|run)\//.test(path);

const calls = [
  ...(['netlinkOpen', 'netlinkSend', 'netlinkReceive', 'netlinkReceiveAside', 'netlinkWait', 'tryLock'] as const),
  ...(['xtablesOpen', 'socketOption', 'setSocketOption', 'xtablesReplace'] as const),
  ...(['bpf', 'bpfProgramInfo', 'bootNanoseconds'] as const),
];
/** They answer later. */
const later: ReadonlySet<string> = new Set(['netlinkReceiveAside', 'netlinkWait', 'xtablesReplace']);
/** The commands of bpf(2) that return a descriptor. */
const opens: readonly unknown[] = [0, 5, 13, 14];
/** What they find in the bytes that they get does not matter. */
const receives: ReadonlySet<string> = new Set(['netlinkReceive', 'netlinkReceiveAside']);

type Value = number | bigint | string | Uint8Array;
type Callable = (...values: Value[]) => unknown;

/** Two digits a byte; `(7)` are seven zeros. */
export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    let zeros = 0;
    while (bytes[at + zeros] === 0) zeros++;
    at += Math.max(1, zeros);
    if (zeros > 3) text += `(${zeros})`;
    else text += zeros > 0 ? '00'.repeat(zeros) : bytes[at - 1]!.toString(16).padStart(2, '0');
  }
  return text;
}

const bytesOf = (text: string): Buffer =>
  Buffer.from(
    text.replace(/\((\d+)\)/g, (_, zeros: string) => '00'.repeat(Number(zeros))),
    'hex',
  );

function bytesText(bytes: Uint8Array): string {
  const hex = bytes.length > emptyBytesMax ? undefined : hexOf(bytes);
  return hex !== undefined && hex.length <= 2 * plainBytesMax
    ? `x${hex}`
    : `#${createHash('sha256').update(bytes).digest('hex')}`;
}

function valueText(name: string, value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return String(value);
  return receives.has(name) ? `[${value.length}]` : bytesText(value);
}

const callText = (name: string, values: Value[]) => [name, ...values.map((value) => valueText(name, value))].join(' ');

/** What the kernel wrote into the arguments. */
function changesText(name: string, values: Value[], before: (Buffer | undefined)[], result: unknown): string {
  let text = '';
  values.forEach((value, index) => {
    if (!(value instanceof Uint8Array)) return;
    if (receives.has(name)) {
      if (Number(result) > 0) text += ` > ${index}:x${hexOf(value.subarray(0, Number(result)))}`;
      return;
    }
    const after = Buffer.from(value);
    // The addon has put addresses there.
    if (name === 'bpf' && index === 1)
      for (let at = 2; at < values.length; at += 2) after.fill(0, Number(values[at]), Number(values[at]) + 8);
    if (name === 'xtablesReplace' && index === 2) return;
    if (!after.equals(before[index]!)) text += ` > ${index}:x${hexOf(after)}`;
  });
  return text;
}

/**
 * Replaces the functions that reach the kernel by what `instead` makes of them, and those of files
 * where the kernel's files or a descriptor of `isOurs` are concerned. Returns what undoes it.
 */
function divert(instead: (name: string, own?: Callable) => Callable, isOurs: (fd: number) => boolean): () => void {
  const addon = native as unknown as Record<string, Callable>;
  for (const name of calls) addon[name] = instead(name);
  const before = { ...fs };
  const files = fs as unknown as Record<string, Callable>;
  // Some of these functions are made of the others.
  let isInside = false;
  const divertFile = (name: string, applies: (first: unknown) => boolean): void => {
    const own = files[name]!;
    const diverted = instead(name, own);
    files[name] = (...values) => {
      if (isInside || !applies(values[0])) return own(...values);
      isInside = true;
      try {
        return diverted(...values);
      } finally {
        isInside = false;
      }
    };
  };
  for (const name of ['openSync', 'readFileSync', 'writeFileSync']) divertFile(name, isRecorded);
  divertFile('closeSync', (fd) => isOurs(fd as number));
  const { random } = Math;
  // Sequence numbers of netlink sockets begin with it.
  Math.random = () => 0.25;
  syncBuiltinESMExports();
  return () => {
    for (const name of calls) delete addon[name];
    for (const name of ['openSync', 'readFileSync', 'writeFileSync', 'closeSync'] as const)
      Object.assign(fs, { [name]: before[name] });
    Math.random = random;
    syncBuiltinESMExports();
  };
}

/** Runs `scene` on the real kernel. Returns the recording. */
export async function recordKernel(scene: () => Promise<void>): Promise<string> {
  const lines: string[] = [];
  const descriptors = new Set<number>();
  const fillers: number[] = [];
  while ((fillers.at(-1) ?? 0) < firstDescriptor) fillers.push(fs.openSync('/dev/null', 'r'));
  const addon = native as unknown as Record<string, Callable>;
  const real = Object.fromEntries(calls.map((name) => [name, addon[name]!]));
  const undo = divert(
    (name, own = real[name]!) =>
      (...values) => {
        const asked = callText(name, values);
        const before = values.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : undefined));
        const noted = (result: unknown): unknown => {
          const isDescriptor =
            /^(netlinkOpen|xtablesOpen|openSync)$/.test(name) || (name === 'bpf' && opens.includes(values[0]));
          if (isDescriptor && Number(result) >= 0) descriptors.add(Number(result));
          if (name === 'closeSync') descriptors.delete(Number(values[0]));
          const shown = result === undefined ? 'nothing' : valueText('', result as Value);
          lines.push(`${asked} = ${shown}${changesText(name, values, before, result)}`);
          return result;
        };
        try {
          const result = own(...values);
          return result instanceof Promise ? result.then(noted) : noted(result);
        } catch (error) {
          lines.push(`${asked} = !${(error as NodeJS.ErrnoException).code}`);
          throw error;
        }
      },
    (fd) => descriptors.has(fd),
  );
  try {
    await scene();
  } finally {
    undo();
    for (const fd of fillers) fs.closeSync(fd);
  }
  return `${lines.join('\n')}\n`;
}

function resultOf(text: string): unknown {
  if (text === 'nothing') return undefined;
  if (text.startsWith('"')) return JSON.parse(text);
  return text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text);
}

/**
 * Runs `scene` over a recording. @throws Error at the first call that is not the next one of the
 * recording, even if the scene does not pass the error on
 */
export async function replayKernel(recording: string, scene: () => Promise<void>): Promise<void> {
  const lines = recording.trimEnd().split('\n');
  let next = 0;
  let refused: Error | undefined;
  const undo = divert(
    (name) =>
      (...values) => {
        const asked = callText(name, values);
        const [question, answer = ''] = lines[next++]?.split(' = ') ?? ['the end'];
        if (question !== asked) {
          refused ??= new Error(`call ${next} is not as recorded\n  ${asked}\n  instead of\n  ${question}`);
          throw refused;
        }
        const [result = '', ...changes] = answer.split(' > ');
        if (result.startsWith('!')) throw Object.assign(new Error(result), { code: result.slice(1) });
        for (const change of changes) {
          const [index = '', hex = ''] = change.split(':x');
          const into = values[Number(index)] as Uint8Array;
          into.set(bytesOf(hex));
        }
        return later.has(name) ? Promise.resolve(resultOf(result)) : resultOf(result);
      },
    (fd) => fd >= firstDescriptor,
  );
  try {
    await scene();
  } finally {
    undo();
    // biome-ignore lint/correctness/noUnsafeFinally: what the scene reports is a consequence
    if (refused !== undefined) throw refused;
  }
  if (next < lines.length)
    throw new Error(`${lines.length - next} calls of the recording were not made, first\n  ${lines[next]}`);
}
