/** An installed fail2ban, asked through test/compare/fail2ban-decisions.py. It runs as a library: no daemon, no ban. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Where the set-up unpacks Debian's package; else the system's own is asked. */
const unpacked = join(import.meta.dirname, '../../build/tools');
const filterFolder = 'etc/fail2ban/filter.d';
const root = existsSync(join(unpacked, filterFolder)) ? unpacked : '/';

/** Why there is no fail2ban to compare with; undefined where there is. */
export function fail2banMissing(): string | undefined {
  if (!existsSync('/usr/bin/python3')) return 'NOT COMPARED with fail2ban: there is no /usr/bin/python3';
  if (existsSync(join(root, filterFolder))) return undefined;
  return 'NOT COMPARED with fail2ban: it is not here (apt-get install fail2ban)';
}

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
    env: {
      ...process.env,
      PYTHONPATH: join(root, 'usr/lib/python3/dist-packages'),
      FAIL2BAN_CONFIG: join(root, 'etc/fail2ban'),
    },
  });
  if (done.status !== 0) {
    throw new Error(
      `fail2ban cannot be compared with: ${done.error?.message ?? done.stderr.trim()}\nInstall it (apt-get install fail2ban) or leave test/compare out.`,
    );
  }
  return JSON.parse(done.stdout) as Fail2banAnswer;
}
