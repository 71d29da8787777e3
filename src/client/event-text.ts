/**
 * Times, durations and events of the records as text for people. Input: the records, whose texts
 * may be anything. Invariant: every line passes `printable`.
 */
import type { Event } from '../history/event.ts';
import { printable } from '../text/printable.ts';
import { wrapped } from './help.ts';

/**
 * `1d 2h`, `2h 5m`, `5m 10s`, `10s`: the two largest units that are not zero; -1 is `permanent`.
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

export const timeOf = (second: number): string => new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ');

const eventTexts: Record<string, string> = {
  expired: 'over',
  command: 'operator',
  lost: 'not kept',
  recovered: 'an unfinished write is closed',
  missing: 'records are missing: see fail2zig audit verify',
};

/** One event as lines of at most some 80 columns: the time, what happened to whom, and why. */
export function eventText(event: Event): string {
  const { addresses = [], jail, until, failures, pattern, file, offset, by, reason, command, count } = event;
  const facts = [
    until === undefined ? '' : until < 0 ? 'for ever' : `until ${timeOf(until)}`,
    failures === undefined
      ? ''
      : `${failures} ${failures === 1 ? 'failure' : 'failures'}, ${pattern} at ${file}:${offset}`,
    by === undefined ? '' : `by user ${by.uid} (process ${by.pid})`,
    reason ?? '',
    command ?? '',
    count === undefined ? '' : `${count} records`,
  ].filter((fact) => fact !== '');
  const what = [timeOf(event.at), eventTexts[event.event] ?? event.event, jail ?? '', addresses.join(' ')];
  const whole = what.filter((word) => word !== '').join('  ');
  const isBurst = addresses.length > 1 && whole.length > 80;
  const head = isBurst ? [...what.slice(0, -1), `${addresses.length} addresses`].join('  ') : whole;
  const lines = [head, ...facts.map((fact) => `    ${fact}`)].map((line) => `${printable(line, line.length)}\n`);
  const all = addresses.join(' ');
  if (isBurst) lines.splice(1, 0, wrapped(printable(all, all.length), 4));
  return lines.join('');
}
