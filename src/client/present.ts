/**
 * What the client prints: the daemon's answers as text for people, or as JSON for programs. Input:
 * the daemon's answer, whose texts (jail names, file names, messages) may hold anything. Invariant:
 * every such text passes `printable`, and the JSON is pure printable ASCII; no answer can act on a
 * terminal.
 */

import type { BanResult, BanRow, Stats, Status, UnbanResult } from '../control/verbs.ts';
import { printable } from '../text/printable.ts';

/**
 * One line of JSON in ASCII: what JSON itself leaves as it is (DEL, C1, bidi controls, …) becomes
 * `\uNNNN`.
 */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(/[\u007f-\uffff]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/**
 * Lines of padded columns, two blanks apart; the columns of `right` are set to the right. Cells
 * must be printable.
 */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] as number;
        return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join('');
}

/**
 * `1d 2h`, `2h 5m`, `5m 10s`, `10s`: the two largest units that say anything; -1 is `permanent`.
 */
export function remaining(seconds: number): string {
  if (seconds === -1) return 'permanent';
  const units: [string, number][] = [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return '0s';
  let rest = seconds;
  const parts: string[] = [];
  for (const [unit, size] of units.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.join(' ');
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

export function presentStatus(status: Status): string {
  const { memory } = status;
  const facts = table([
    ['fail2zig', `${printable(status.version)}, process ${status.pid}, up ${remaining(status.uptimeSeconds)}`],
    ['backend', printable(status.backend)],
    ['memory', `${mebibytes(memory.residentBytes)} of ${mebibytes(memory.ceilingBytes)}`],
    ['table', `${memory.slotsUsed} of ${memory.slots} slots used`],
  ]);
  const head = ['jail', 'filter', 'active', 'pending', 'bans', 'dropped', 'failures', 'sources'];
  const rows = status.jails.map((jail) => [
    printable(jail.jail),
    printable(jail.filter),
    String(jail.bansActive),
    String(jail.bansPending),
    String(jail.bansTotal),
    String(jail.packetsDropped),
    String(jail.failuresTotal),
    jail.sources.map((source) => printable(source)).join(' '),
  ]);
  const problems = status.problems.map((problem) => `problem: ${printable(problem)}\n`).join('');
  return `${facts}\n${table([head, ...rows], [2, 3, 4, 5, 6])}${problems && `\n${problems}`}`;
}

/** `name:  figure`, one a line, as the memory page of the documents shows it. */
export function presentStats(stats: Stats): string {
  return table(
    Object.entries(stats).map(([name, value]) => [`${printable(name)}:`, String(value)]),
    [1],
  );
}

export function presentList(bans: readonly BanRow[]): string {
  if (bans.length === 0) return 'no active bans\n';
  const rows = bans.map((ban) => [printable(ban.jail), printable(ban.address), remaining(ban.remainingSeconds)]);
  return table([['jail', 'address', 'remaining'], ...rows], [2]);
}

export function presentBan(result: BanResult): string {
  const time = result.seconds === -1 ? 'permanently' : `for ${remaining(result.seconds)}`;
  return `banned ${printable(result.address)} in ${printable(result.jail)} ${time}\n`;
}

export function presentUnban(result: UnbanResult): string {
  if (result.jails.length === 0) return `${printable(result.address)} was not banned\n`;
  return `unbanned ${printable(result.address)} in ${result.jails.map((jail) => printable(jail)).join(', ')}\n`;
}
