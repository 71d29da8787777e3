/**
 * Memory sizes: whole bytes, or a number and a unit. One MB is 1024 × 1024 bytes here, whether
 * written MB, MiB or M: the ceiling is compared with VmRSS, which the kernel counts in KiB, so a
 * decimal megabyte would only make the limit unclear.
 */
import { describe } from './describe.ts';
import { accept, type Parsed, refuse } from './parsed.ts';

const bytesOf: Record<string, number> = {
  b: 1,
  k: 1024,
  kb: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1024 ** 3,
  gib: 1024 ** 3,
};

const example = 'write "64MB" (MB = 1024 × 1024 bytes) or whole bytes';

/** Bytes of `value`, between `bytesMin` and `bytesMax` inclusive. */
export function parseSize(value: unknown, bytesMin: number, bytesMax: number): Parsed<number> {
  let bytes: number;
  if (typeof value === 'number' && Number.isInteger(value)) {
    bytes = value;
  } else if (typeof value === 'string') {
    const part = /^([0-9]{1,15})\s*([A-Za-z]{1,3})$/.exec(value.trim());
    if (!part || !Object.hasOwn(bytesOf, part[2].toLowerCase())) {
      return refuse(`expected a size, found ${describe(value)}`, example);
    }
    bytes = Number(part[1]) * bytesOf[part[2].toLowerCase()];
  } else {
    return refuse(`expected a size, found ${describe(value)}`, example);
  }
  if (bytes < bytesMin) return refuse(`smaller than ${formatSize(bytesMin)}, found ${describe(value)}`, example);
  if (bytes > bytesMax) return refuse(`larger than ${formatSize(bytesMax)}, found ${describe(value)}`, example);
  return accept(bytes);
}

/** Exact text of a size: `64MB` if it divides evenly, otherwise smaller units down to bytes. */
export function formatSize(bytes: number): string {
  if (bytes !== 0) {
    if (bytes % 1024 ** 3 === 0) return `${bytes / 1024 ** 3}GB`;
    if (bytes % 1024 ** 2 === 0) return `${bytes / 1024 ** 2}MB`;
    if (bytes % 1024 === 0) return `${bytes / 1024}KB`;
  }
  return `${bytes}B`;
}
