/**
 * Durations as the Local API writes them (Go's time.Duration): `1h2m3.5s`, `-59ms`.
 */

const secondsOf: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3_600,
};

/** Seconds of `text`; undefined if it is not a duration. */
export function parseGoDuration(text: string): number | undefined {
  if (text.length > 64) return undefined;
  const [, sign = '', body = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (body === '0') return 0;
  if (!/^([0-9]+(\.[0-9]*)?(ns|us|µs|μs|ms|s|m|h))+$/.test(body)) return undefined;
  let seconds = 0;
  for (const [, digits, unit] of body.matchAll(/([0-9.]+)([^0-9.]+)/g)) seconds += Number(digits) * secondsOf[unit!]!;
  return sign === '-' ? -seconds : seconds;
}
