/**
 * Broken on purpose: followers that read a path every few milliseconds and make one classic mistake
 * each.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';

export interface Follower {
  /** Lines read so far. */
  lines: () => string[];
  /** Looks at the file without being told of it. */
  look?(): void;
  stop: () => void;
}

export type FollowerFlaw = 'misses-rotation' | 'misses-truncation' | 'rereads';

export function pollingFollower(path: string, flaw: FollowerFlaw): Follower {
  const lines: string[] = [];
  let inode = existsSync(path) ? statSync(path).ino : 0;
  let offset = existsSync(path) ? statSync(path).size : 0;
  function look(): void {
    if (!existsSync(path)) return;
    const stat = statSync(path);
    if (stat.ino !== inode && flaw !== 'misses-rotation') {
      inode = stat.ino;
      offset = 0;
    }
    if (stat.size < offset && flaw !== 'misses-truncation') offset = 0;
    const text = readFileSync(path, 'utf8').slice(offset);
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    lines.push(...whole.split('\n').filter((line) => line !== ''));
    offset = flaw === 'rereads' ? 0 : offset + whole.length;
  }
  const timer = setInterval(look, 5);
  return { lines: () => [...lines], stop: () => clearInterval(timer) };
}
