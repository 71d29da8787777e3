/**
 * The naive reading of "one attempt counts once": which lines of a connection count, and against
 * whom. Maps and strings, one plain function, and no code shared with src/engine/connection.ts,
 * which it judges.
 *
 * A line is a failure or context. Context only tells the address and user of its connection. A
 * failure without an address waits for a line of its connection that has one. Context counts once
 * if several user names were tried on the connection. A success drops what still waits, and takes
 * back nothing.
 */
import type { Pattern } from '../../src/compiler/pattern.ts';

/** Seconds a connection is remembered after its first line. */
const connectionSeconds = 300;

interface Connection {
  since: number;
  address?: string;
  users: Set<string>;
  pending: boolean;
  stage: number;
  /** The last line of the connection is written, but a failure still waits for its address. */
  ended: boolean;
}

export interface ConnectionLine {
  /** Host and pid. Absent: the line belongs to no connection. */
  key?: string;
  time: number;
  effect: NonNullable<Pattern['effect']>;
  address?: string;
  user?: string;
}

/**
 * `charged`: one failure of `address`. `same`: the attempt was counted already. `pending`: no
 * address is known yet.
 */
export interface Verdict {
  outcome: 'charged' | 'same' | 'pending' | 'context';
  address?: string;
}

export class Connections {
  readonly known = new Map<string, Connection>();

  line({ key, time, effect, address, user }: ConnectionLine): Verdict {
    let connection = key === undefined ? undefined : this.known.get(key);
    if (connection !== undefined && time - connection.since > connectionSeconds) connection = undefined;
    const other = address !== undefined && connection?.address !== undefined && connection.address !== address;
    if (other) connection = undefined;
    if (connection?.ended && !effect.ends) connection = undefined;
    connection ??= { since: time, users: new Set(), pending: false, stage: 0, ended: false };
    const verdict = this.#judge(connection, effect, address, user);
    connection.ended = effect.ends === true;
    if (key !== undefined) {
      if (effect.ends && !connection.pending) this.known.delete(key);
      else this.known.set(key, connection);
    }
    return verdict;
  }

  #judge(
    connection: Connection,
    effect: ConnectionLine['effect'],
    address: string | undefined,
    user: string | undefined,
  ): Verdict {
    if (user) connection.users.add(user);
    if (effect.gained) connection.pending = false;
    if (address !== undefined) connection.address = address;

    const context = effect.kind === 'context' || effect.gained === true;
    const stage = context ? 0 : (effect.stage ?? 0);
    const same = stage > 0 && connection.stage > 0 && stage > connection.stage;
    if (stage > 0) connection.stage = stage;

    const due = connection.pending;
    connection.pending = false;
    if (!due && (same || (context && connection.users.size < 2))) {
      return { outcome: same ? 'same' : 'context', address: connection.address };
    }
    if (connection.address === undefined) {
      connection.pending = true;
      return { outcome: 'pending' };
    }
    return { outcome: 'charged', address: connection.address };
  }
}
