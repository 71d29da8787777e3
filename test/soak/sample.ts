/**
 * One sample of the running daemon from outside: /proc and the metrics page, never its own figures
 * about its memory.
 */
import { readFileSync } from 'node:fs';

export interface Sample {
  /** Since the start of the attack. */
  seconds: number;
  rssBytes: number;
  peakBytes: number;
  anonymousBytes: number;
  fileBytes: number;
  slots: number;
  slotsUsed: number;
  evictions: number;
  bans: number;
  lines: number;
  readBytes: number;
}

/** Fields of /proc/PID/status, bytes. */
export function residentOf(pid: number): Pick<Sample, 'rssBytes' | 'peakBytes' | 'anonymousBytes' | 'fileBytes'> {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
  return {
    rssBytes: field('VmRSS'),
    peakBytes: field('VmHWM'),
    anonymousBytes: field('RssAnon'),
    fileBytes: field('RssFile'),
  };
}

/** The series of a metrics page, summed over their labels. */
export function parsePage(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const name = /^[a-z0-9_]+/.exec(line)?.[0] ?? '';
    found.set(name, (found.get(name) ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1)));
  }
  return found;
}

export async function takeSample(pid: number, port: number, seconds: number): Promise<Sample> {
  const page = parsePage(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
  const of = (name: string): number => page.get(`fail2zig_${name}`) ?? Number.NaN;
  return {
    seconds,
    ...residentOf(pid),
    slots: of('table_slots'),
    slotsUsed: of('table_slots_used'),
    evictions: of('evictions_total'),
    bans: of('bans_total'),
    lines: of('lines_total'),
    readBytes: of('read_bytes_total'),
  };
}
