/**
 * Asks an installed fail2ban through test/compare/fail2ban-decisions.py. It runs as a library: no
 * daemon, no ban.
 */
import { runWithFail2ban } from '../../scripts/lab/fail2ban.ts';

export { fail2banMissing } from '../../scripts/lab/fail2ban.ts';

export interface Fail2banAnswer {
  version: string;
  /** For each line, the addresses that it counted a failure against. */
  lines: string[][];
  bans: { ip: string; line: number }[];
  /** How fail2ban reads the durations. */
  seconds: { findtime: number; bantime: number };
}

export interface Fail2banQuestion {
  filter: string;
  mode: string;
  maxretry: number;
  /** Seconds, or a duration as the configuration writes it. */
  findtime: number | string;
  bantime?: string;
  ignoreip?: string[];
}

/** Throws if there is no fail2ban, and says what to install. */
export function askFail2ban(
  lines: string[],
  { filter, mode, maxretry, findtime, bantime = '10m', ignoreip = [] }: Fail2banQuestion,
): Fail2banAnswer {
  const parameters = [filter, mode, String(maxretry), String(findtime), bantime, ...ignoreip];
  const answer = runWithFail2ban('test/compare/fail2ban-decisions.py', parameters, `${lines.join('\n')}\n`);
  return answer as Fail2banAnswer;
}
