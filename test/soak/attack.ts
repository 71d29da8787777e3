/**
 * The attack of the soak: distinct sources, IPv4 and IPv6 in turn, without any state per source, so
 * that ten million of them cost the generator nothing. In step k source k fails for the first time;
 * one source in ten is an attacker that fails twice more, each time `gap` steps (= new sources)
 * later. `gap` depends on the source alone: some return soon, some so late that the table has
 * evicted them long ago.
 */

/** Failures that make a ban in the soak's configuration. */
export const maxretry = 3;
/** One in this many sources is an attacker; the others fail once. */
const attackerEach = 10;
/**
 * The largest number of attackers: as many bans as the kernel may hold by default (half of the
 * table) and as the table can tell apart from what it gave up. With more sources, the later ones
 * fail only once.
 */
export const attackersMax = 300_000;
/** Steps between an attacker's failures; the attackers use them in turn. */
export const gaps = [1_000, 10_000, 50_000, 200_000, 2_000_000] as const;
/** Lines a source writes on average. */
export const linesPerSource = 1 + (maxretry - 1) / attackerEach;
/** The attack has longer gaps too, but a run does not wait for their last failures. */
const judgedGapMax = 200_000;

/**
 * The longest gap that ends within a run of `count` sources; 0 = none. No source may come again
 * before that.
 */
export function judgedGap(count: number): number {
  return gaps.findLast((gap) => gap < count && gap <= judgedGapMax) ?? 0;
}

/** The gap of source k, or 0 when it fails once only. */
export function gapOf(k: number): number {
  return k % attackerEach === 0 && k < attackersMax * attackerEach ? gaps[(k / attackerEach) % gaps.length]! : 0;
}

/** How many of the sources 0 … count-1 have this gap. */
export function attackersWith(gap: number, count: number): number {
  const first = gaps.indexOf(gap as (typeof gaps)[number]) * attackerEach;
  const attacked = Math.min(count, attackersMax * attackerEach);
  return attacked <= first ? 0 : Math.floor((attacked - 1 - first) / (attackerEach * gaps.length)) + 1;
}

/**
 * The address of source k, as the kernel prints it: half from 10.0.0.0/8, half from /64s of
 * 2001:db8::/32. The documentation networks for IPv4 hold too few addresses, and a private address
 * belongs to nobody on the internet either.
 */
export function addressOf(k: number): string {
  const n = Math.floor(k / 2) + 1;
  if (k % 2 === 0) return `10.${n >>> 16}.${(n >>> 8) & 255}.${n & 255}`;
  return `2001:db8:${(n >>> 16).toString(16)}:${(n & 0xffff).toString(16)}::7`;
}

/** What the kernel's set holds for source k: an IPv6 source is banned with its /64. */
export function elementOf(k: number): string {
  const n = Math.floor(k / 2) + 1;
  if (k % 2 === 0) return addressOf(k);
  const low = n & 0xffff;
  return `2001:db8:${(n >>> 16).toString(16)}:${low === 0 ? '' : low.toString(16)}::`.replace(':::', '::');
}

/** How many sources have an address. */
export const sourcesMax = 2 * (2 ** 24 - 2);

/**
 * Which sources fail in step k: the next one, and the attackers whose second or third failure is
 * due. After the last source the first comes again.
 */
export function failing(k: number, count: number, take: (source: number) => void): void {
  take(k % count);
  for (const gap of gaps) {
    for (let failure = 1; failure < maxretry; failure++) {
      const due = k - failure * gap;
      if (due >= 0 && gapOf(due % count) === gap) take(due % count);
    }
  }
}

/**
 * The number of steps after which every source with a gap up to `gap` has made its last failure.
 */
export function stepsUntil(count: number, gap: number): number {
  return count + (maxretry - 1) * gap;
}

/**
 * The log line of one failed login. Each line has its own number `line` and so its own connection.
 */
export function failureLine(time: string, source: number, line: number): string {
  const process = 1_000 + (line % 4_000_000);
  return `${time} soak sshd[${process}]: Failed password for root from ${addressOf(source)} port ${1_024 + (line % 60_000)} ssh2\n`;
}
