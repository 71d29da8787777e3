/**
 * `why ADDRESS` for people: what each jail knows of the address, what is missing for a ban, what
 * happened, and the commands that show the log lines, which are not stored. Input: the daemon's
 * answer, whose texts may contain anything. Invariant: each of them passes `printable`.
 */

import { whyTimesMax } from '../config/limits.ts';
import type { JailView, Why } from '../control/answers.ts';
import type { Event } from '../history/event.ts';
import { printable } from '../text/printable.ts';
import { eventText, remaining, timeOf } from './event-text.ts';
import { wrapped } from './help.ts';
import type { EventPart } from './records.ts';

/** `for 2m 3s`, `for ever` */
const left = (seconds: number): string => (seconds < 0 ? 'for ever' : `for ${remaining(seconds)}`);

/**
 * The failures that count now and what more of them would lead to; if there are none, what a ban
 * needs.
 */
function failuresOf({ failures, maxretry, findtime, until, ignored }: JailView): string {
  const [oldest] = failures.at(-1) ?? [];
  if (oldest === undefined || until !== undefined || ignored)
    return `a ban takes ${maxretry} failures in ${remaining(findtime)}`;
  const count = failures.reduce((sum, [, times]) => sum + times, 0);
  const rows = failures.map(([at, times]) => `${timeOf(at)}${times === 1 ? '' : ` (${times})`}`).reverse();
  // For a burst: the first, the last and how many.
  const between = failures.slice(1, -1).reduce((sum, [, times]) => sum + times, 0);
  const times = rows.length <= whyTimesMax ? rows : [rows[0], `${between} more`, rows.at(-1)];
  const missing = Math.max(1, maxretry - count);
  return `${count} of ${maxretry} failures in ${remaining(findtime)}: ${times.join(', ')}; ${missing} more before ${timeOf(oldest + findtime)} would ban it`;
}

function viewText(view: JailView): string {
  const { jail, address, until, kernel, kernelSeconds = -1, ignored, ignoredBy = 'a rule', ignoredSeconds } = view;
  const banned = until === undefined ? 'not banned' : until < 0 ? 'banned for ever' : `banned until ${timeOf(until)}`;
  const inKernel = kernel
    ? `, held by the kernel ${left(kernelSeconds)}`
    : until === undefined
      ? ''
      : ', NOT held by the kernel';
  const rule =
    ignoredBy === 'a list'
      ? ignoredBy
      : ignoredSeconds === undefined
        ? `${ignoredBy}: ignoreip, or of this host`
        : `${ignoredBy}: by hand, ${left(ignoredSeconds)}`;
  const facts = [
    ...(ignored ? [`ignored (${rule})`] : []),
    failuresOf(view),
    `filter ${view.filter}; logs: ${view.sources.join(' ') || 'none'}`,
  ];
  const head = `${jail}: ${address} is ${banned}${inKernel}`;
  return `${printable(head, head.length)}\n${facts.map((fact) => wrapped(printable(fact, fact.length), 4)).join('')}`;
}

/** A word, quoted for a shell. */
const quoted = (text: string): string => (/^[\w./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/**
 * Commands that show lines of the log: the one that led to the last ban, then all lines that a
 * filter matches.
 */
export function commandsFor({ address, config, views }: Why, events: readonly Event[]): string[] {
  const lines = events.flatMap(({ file, offset }) =>
    file?.startsWith('/') && offset !== undefined ? [`tail -c +${offset + 1} ${quoted(file)} | head -n 1`] : [],
  );
  const matches = views.flatMap(({ filter, sources }) =>
    sources.map((source) => {
      const match = `fail2zig match --config ${quoted(config)} --filter ${filter}`;
      const isFile = source.startsWith('/') && !source.endsWith('.journal');
      const from = isFile ? `${match} ${quoted(source)}` : `journalctl -o short-iso | ${match} -`;
      return `${from} | grep -wF ${address.replace(/\/.*$/, '')}`;
    }),
  );
  return [...new Set([...lines.slice(-1), ...matches])];
}

/** An event with only the requested addresses of its record, and the number of the others. */
function narrowed(event: Event, asked: ReadonlySet<string>): Event {
  const { addresses = [] } = event;
  const own = addresses.filter((address) => asked.has(address));
  const others = addresses.length - own.length;
  if (own.length === 0 || others === 0) return event;
  return { ...event, addresses: [...own, others === 1 ? 'and another' : `and ${others} others`] };
}

export function presentWhy(answer: Why & EventPart): string {
  const { address, views, events, lists = [] } = answer;
  const places = lists.map((place) => `in a list: ${printable(place, place.length)}\n`).join('');
  const asked = new Set([address, ...views.map((view) => view.address)]);
  const texts = events.map((event) => eventText(narrowed(event, asked)));
  const found = texts.length === 0 ? 'no records of it\n' : texts.join('');
  const commands = commandsFor(answer, events).map((command) => `    ${printable(command, command.length)}\n`);
  const lines = commands.length === 0 ? '' : `\nLines of the log:\n${commands.join('')}`;
  return `${places}${views.map(viewText).join('')}\n${found}${lines}`;
}
