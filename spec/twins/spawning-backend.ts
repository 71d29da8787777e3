/** Broken on purpose: a backend that bans by running a program, as the shell-action model does. */
import { spawnSync } from 'node:child_process';

export function ban(address: string): boolean {
  return spawnSync('nft', ['add', 'element', 'inet', 'fail2zig', 'banned', `{ ${address} }`]).status === 0;
}
