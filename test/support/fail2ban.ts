/** An installed fail2ban, asked through test/compare/fail2ban-decisions.py. It runs as a library: no daemon, no ban. */
import { spawnSync } from 'node:child_process';

export interface Fail2banAnswer {
  version: string;
  /** Per line, the addresses it charged. */
  lines: string[][];
  bans: { ip: string; line: number }[];
}

/** Throws with what to install where there is no fail2ban. */
export function askFail2ban(
  lines: string[],
  { filter, mode, maxretry, findtime }: { filter: string; mode: string; maxretry: number; findtime: number },
): Fail2banAnswer {
  const argv = ['test/compare/fail2ban-decisions.py', filter, mode, String(maxretry), String(findtime)];
  const done = spawnSync('/usr/bin/python3', argv, {
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (done.status !== 0) {
    throw new Error(
      `fail2ban cannot be compared with: ${done.error?.message ?? done.stderr.trim()}\nInstall it (apt-get install fail2ban) or leave test/compare out.`,
    );
  }
  return JSON.parse(done.stdout) as Fail2banAnswer;
}
