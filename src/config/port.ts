/**
 * Ports as operators write them: `22`, `"ssh"`, `"80,443"`, `"6000:6100"`, a list of these, or
 * `"all"`. Service names come from the small table below and not from /etc/services: so the same
 * file means the same on every host, and a minimal image has no /etc/services. Result: sorted,
 * without overlap; empty = every port.
 */

import { printable } from '../text/printable.ts';
import type { PortRange } from '../types.ts';
import { describe } from './describe.ts';
import { portRangesMax } from './limits.ts';
import { nearest } from './nearest.ts';
import { accept, type Parsed, refuse } from './parsed.ts';

/**
 * IANA's service names (and fail2ban's habits, such as `imap3`) for the services that jails guard.
 */
const services: Record<string, number> = {
  asterisk: 5060,
  domain: 53,
  ftp: 21,
  'ftp-data': 20,
  ftps: 990,
  'ftps-data': 989,
  http: 80,
  https: 443,
  imap: 143,
  imap2: 143,
  imap3: 220,
  imaps: 993,
  kerberos: 88,
  ldap: 389,
  ldaps: 636,
  'ms-wbt-server': 3389,
  mysql: 3306,
  ntp: 123,
  openvpn: 1194,
  pop3: 110,
  pop3s: 995,
  postgresql: 5432,
  sieve: 4190,
  sip: 5060,
  'sip-tls': 5061,
  smtp: 25,
  smtps: 465,
  socks: 1080,
  ssh: 22,
  submission: 587,
  submissions: 465,
  telnet: 23,
  tftp: 69,
  webmin: 10000,
  xmpp: 5222,
  'xmpp-client': 5222,
  'xmpp-server': 5269,
};

const example = 'write 22, "ssh", "80,443", "6000:6100" or "all"';

/** The ranges of `value`, merged; empty for every port. */
export function parsePorts(value: unknown): Parsed<PortRange[]> {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  if (items.length === 0) return refuse('expected at least one port, found an empty list', example);
  const ranges: PortRange[] = [];
  let every = false;
  for (const [index, item] of items.entries()) {
    const parsed = parseItem(item);
    if (!parsed.ok) return Array.isArray(value) ? { ...parsed, index } : parsed;
    if (parsed.value.length === 0) every = true;
    ranges.push(...parsed.value);
  }
  if (every) {
    if (ranges.length > 0) return refuse('"all" is set beside other ports', 'write "all" alone');
    return accept([]);
  }
  const merged = mergeRanges(ranges);
  if (merged.length > portRangesMax) return refuse(`more than ${portRangesMax} separate ports or ranges`, example);
  return accept(merged);
}

function parseItem(item: unknown): Parsed<PortRange[]> {
  if (typeof item === 'number') {
    if (!Number.isInteger(item) || item < 1 || item > 65_535) {
      return refuse(`expected a port from 1 to 65535, found ${describe(item)}`, example);
    }
    return accept([{ first: item, last: item }]);
  }
  if (typeof item !== 'string') return refuse(`expected a port, found ${describe(item)}`, example);
  if (item.trim() === 'all') return accept([]);
  const ranges: PortRange[] = [];
  for (const part of item.split(',')) {
    const range = parseRange(part.trim());
    if (!range.ok) return range;
    ranges.push(range.value);
  }
  return accept(ranges);
}

function parseRange(text: string): Parsed<PortRange> {
  const ends = text.split(/[:-]/);
  if (ends.length === 2 && ends.every((end) => /^[0-9]+$/.test(end))) {
    const first = parsePort(ends[0]);
    const last = parsePort(ends[1]);
    if (!first.ok) return first;
    if (!last.ok) return last;
    if (first.value > last.value) return refuse(`the range "${text}" ends before it starts`, example);
    return accept({ first: first.value, last: last.value });
  }
  const port = parsePort(text);
  return port.ok ? accept({ first: port.value, last: port.value }) : port;
}

function parsePort(text: string): Parsed<number> {
  if (/^[0-9]{1,10}$/.test(text)) {
    const port = Number(text);
    if (port < 1 || port > 65_535) return refuse(`expected a port from 1 to 65535, found ${text}`, example);
    return accept(port);
  }
  const name = text.toLowerCase();
  if (Object.hasOwn(services, name)) return accept(services[name]);
  if (text === '') return refuse('expected a port, found nothing', example);
  if (text === 'all') return refuse('"all" is set beside other ports', 'write "all" alone');
  const close = nearest(name, Object.keys(services));
  return refuse(
    `unknown service "${printable(text, 40)}"`,
    close ? `did you mean "${close}"?` : 'write the number of the port',
  );
}

/** Sorted, with overlapping and adjacent ranges joined: a kernel interval set refuses overlaps. */
function mergeRanges(ranges: PortRange[]): PortRange[] {
  const sorted = ranges.toSorted((one, other) => one.first - other.first || one.last - other.last);
  const merged: PortRange[] = [];
  for (const range of sorted) {
    const previous = merged.at(-1);
    if (previous && range.first <= previous.last + 1) previous.last = Math.max(previous.last, range.last);
    else merged.push({ ...range });
  }
  return merged;
}

/** `22`, `6000:6100`, joined by commas; `all` when empty. */
export function formatPorts(ranges: PortRange[]): string {
  if (ranges.length === 0) return 'all';
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}:${last}`)).join(',');
}
