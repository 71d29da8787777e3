/**
 * `fail2zig-client top`: a screen that is redrawn each second: rates, memory, problems, top
 * sources, recent bans. However it ends, the terminal is restored. Input: the daemon's answers and
 * records, whose texts pass `printable`; keys of the user. No colour; 80 columns are enough, and
 * lines are cut at the terminal's width.
 */
import { topFrameMs, topRowsMax } from '../config/limits.ts';
import type { Stats, Status } from '../control/answers.ts';
import type { Event } from '../history/event.ts';
import { printable } from '../text/printable.ts';
import { remaining } from './event-text.ts';
import { readRecords } from './records.ts';

/** What `top` asks the daemon. */
export interface Asked {
  status(): Promise<Status>;
  stats(): Promise<Stats>;
}

interface Screen {
  out(text: string): void;
}

/** What a screen shows. */
export interface Frame {
  status: Status;
  stats: Stats;
  before?: { stats: Stats; seconds: number };
  recent: readonly Event[];
  sources: readonly (readonly [address: string, bans: number])[];
}

const enter = '\u001b[?1049h\u001b[?25l';
const leave = '\u001b[?25h\u001b[?1049l';

const megabytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;

/** The lines of a screen of `columns` and `rows`. */
export function draw({ status, stats, before, recent, sources }: Frame, columns: number, rows: number): string[] {
  const rate = (name: string): string => {
    const past = before?.stats[name];
    const now = stats[name] ?? 0;
    return past === undefined ? '-' : `${((now - past) / before!.seconds).toFixed(1)}/s`;
  };
  const within = (name: string): string => {
    const seconds = stats[name] ?? 0;
    return seconds === 0 ? '-' : seconds < 1 ? `${seconds * 1000} ms` : `${seconds} s`;
  };
  const { memory } = status;
  const share = Math.round((memory.residentBytes / memory.ceilingBytes) * 20);
  const active = status.jails.reduce((sum, { bansActive }) => sum + bansActive, 0);
  const lines = [
    `fail2zig ${status.version}  ${status.backend}  up ${remaining(status.uptimeSeconds)}  ${new Date().toISOString().slice(11, 19)} UTC  q: end`,
    `lines ${rate('lines.total')}  matched ${rate('lines.matched')}  failures ${rate('failures.total')}  bans ${rate('bans.total')}`,
    `memory [${'#'.repeat(Math.min(20, share)).padEnd(20, '.')}] ${megabytes(memory.residentBytes)} of ${megabytes(memory.ceilingBytes)}`,
    `banned now ${active}  table ${memory.slotsUsed} of ${memory.slots}  evictions ${stats['evictions.total'] ?? 0}`,
    `decision to kernel: half of the bans within ${within('bans.p50_seconds')}, 99 % within ${within('bans.p99_seconds')}`,
    ...(status.problems.length === 0 ? ['no problems'] : status.problems.map((problem) => `problem: ${problem}`)),
    '',
    'jail                    active    total   failures',
    ...status.jails.map(
      ({ jail, bansActive, bansTotal, failuresTotal }) =>
        `${jail.slice(0, 20).padEnd(20)}${String(bansActive).padStart(10)}${String(bansTotal).padStart(9)}${String(failuresTotal).padStart(11)}`,
    ),
    '',
    'most bans',
    ...sources.slice(0, topRowsMax).map(([address, bans]) => `${String(bans).padStart(6)}  ${address}`),
    '',
    'recent',
    ...recent
      .toReversed()
      .map(
        ({ at, event, jail = '', addresses = [], command = '' }) =>
          `${new Date(at * 1000).toISOString().slice(11, 19)}  ${event.padEnd(8)}  ${jail.padEnd(12)}  ${addresses[0] ?? command}${addresses.length > 1 ? ` and ${addresses.length - 1} more` : ''}`,
      ),
  ];
  return lines.slice(0, rows).map((line) => [...printable(line, line.length)].slice(0, columns).join(''));
}

export class Top {
  readonly #ask: Asked;
  readonly #path: string | undefined;
  readonly #screen: Screen;
  readonly #recent: Event[] = [];
  readonly #sources = new Map<string, number>();
  #isOver = false;
  #wake = (): void => {};

  constructor(ask: Asked, path: string | undefined, screen: Screen) {
    this.#ask = ask;
    this.#path = path;
    this.#screen = screen;
  }

  /** Runs until the user ends it; throws if the daemon does not answer. */
  async run(): Promise<number> {
    const { stdin } = process;
    const end = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    const isKeyboard = stdin.isTTY === true;
    const onKeys = (keys: Buffer): void => {
      if (keys.includes('q') || keys.includes(3)) end();
    };
    process.on('SIGINT', end).on('SIGTERM', end).on('SIGHUP', end);
    if (isKeyboard) stdin.setRawMode(true).on('data', onKeys).resume();
    this.#screen.out(enter);
    try {
      void this.#follow().catch(() => {});
      await this.#draw();
    } finally {
      this.#isOver = true;
      if (isKeyboard) stdin.setRawMode(false).off('data', onKeys).pause();
      process.off('SIGINT', end).off('SIGTERM', end).off('SIGHUP', end);
      this.#screen.out(leave);
    }
    return 0;
  }

  async #draw(): Promise<void> {
    let before: Frame['before'] & { at?: number } = { stats: {}, seconds: 1 };
    let at = performance.now();
    while (!this.#isOver) {
      const [status, stats] = [await this.#ask.status(), await this.#ask.stats()];
      const now = performance.now();
      before = { stats: before.stats, seconds: Math.max(0.001, (now - at) / 1000) };
      const sources = [...this.#sources].toSorted(([, one], [, other]) => other - one);
      const { columns = 80, rows = 24 } = process.stdout;
      const lines = draw({ status, stats, before, recent: this.#recent, sources }, columns, rows);
      this.#screen.out(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join('\r\n')}\u001b[J`);
      before = { stats, seconds: 1 };
      at = now;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, topFrameMs);
      });
    }
  }

  /** Counts the records from the last day on. */
  async #follow(): Promise<void> {
    if (this.#path === undefined) return;
    const from = Date.now() / 1000 - 86_400;
    for await (const { events } of readRecords(this.#path, ({ at }) => at >= from, true)) {
      if (this.#isOver) return;
      for (const event of events) {
        this.#recent.push(event);
        if (event.event !== 'ban') continue;
        for (const address of event.addresses ?? []) {
          this.#sources.set(address, (this.#sources.get(address) ?? 0) + 1);
        }
      }
      this.#recent.splice(0, this.#recent.length - topRowsMax);
    }
  }
}
