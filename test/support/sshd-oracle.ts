/**
 * sshd's filter by two naive readings: the oracle matches a line, and `Connections` decides what
 * the line counts.
 */
import { isIP } from 'node:net';
import { sshd } from '../../src/filters/sshd.ts';
import { Connections } from './connection-oracle.ts';
import { atNoTime, oracleLine, oracleMessages } from './oracle.ts';

/** The verdict on a line, in the words of `fail2zig match`. */
export interface LineVerdict {
  outcome: string;
  pattern?: string;
  /** Only for the outcomes `failure` and `counted-before`. */
  address?: string;
  user?: string;
}

/** Reads the lines of one log in one mode, in order. */
export function sshdOracle(mode: string): (line: Buffer, time: number) => LineVerdict {
  const connections = new Connections();
  return (line, time) => {
    const message = oracleMessages(sshd, line)[0];
    if (message === undefined) return { outcome: 'no-prefix' };
    const found = oracleLine(sshd, line, mode);
    if (found === null) return { outcome: 'no-pattern' };
    if (atNoTime(line, message, found.time, time)) return { outcome: 'bad-time', pattern: found.pattern };
    const named = found.address && message.toString('latin1', ...found.address);
    const user = (found.user && message.toString('utf8', ...found.user)) || undefined;
    const address = named !== undefined && isIP(named) ? named : undefined;
    const effect = sshd.patterns[found.index]?.effect ?? {};
    const key = line
      .toString('latin1')
      .match(/ (\S+ )\S+\[(\d+)\]: /)
      ?.slice(1)
      .join('');
    const verdict = connections.line({ key, time, effect, address, user });
    const { pattern } = found;
    switch (verdict.outcome) {
      case 'charged':
        return { outcome: 'failure', pattern, address: verdict.address, user };
      case 'same':
        return { outcome: 'counted-before', pattern, address: verdict.address, user };
      case 'context':
        return { outcome: 'no-failure', pattern };
      case 'pending': {
        if (named === undefined) return { outcome: 'no-address', pattern };
        return { outcome: /[g-zG-Z]/.test(named) ? 'host-name' : 'bad-address', pattern };
      }
    }
  };
}
