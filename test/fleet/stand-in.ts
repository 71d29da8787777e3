/**
 * A stand-in server as a process of its own (stand-in-server.ts), with the least share of the
 * processor: in the field it is another machine, and whoever measures beside it must not wait for
 * it. What it answers is sent to it as data.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';

export const port = 8_080;

/** This many decisions, from the address of number `first` on. */
export interface Holding {
  first?: number;
  count: number;
}

export const addressOf = (index: number): string => `${11 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}.7`;

export type Answer =
  /** A list; by drips, one byte after the other. */
  | { kind: 'list' | 'drip'; added?: Holding; deleted?: Holding }
  /** No list: bytes, a text without end, a page of a proxy, no list in it, a list cut off. */
  | { kind: 'garbage' | 'endless' | 'page' | 'no lists' | 'cut' };

export const wrongKinds = ['garbage', 'endless', 'page', 'no lists', 'cut'] as const;

/** What it answers from now on. */
export interface Usual {
  /** The answer to a request for the complete list. */
  holds?: Holding;
  /** The answers to requests for changes, in turn; none: no changes. */
  otherwise?: readonly Answer[];
  /** The answers to all requests for decisions, in turn. */
  always?: readonly Answer[];
}

export type Order =
  | { what: 'next'; answer: Answer }
  | ({ what: 'set' } & Usual)
  | { what: 'listen' }
  | { what: 'kill' };

export type Report = { done: true } | { taken: 1 } | { sent: 1 } | { alerts: string[] };

export class StandInServer {
  /** Each alert that it took: its message. */
  readonly alerts: string[] = [];
  /** Answers of `next` that nobody has asked for yet, and those that are not sent whole yet. */
  waiting = 0;
  unsent = 0;
  readonly #process: ChildProcess;
  /** Who waits for an order, in their order. */
  readonly #awaited: (() => void)[] = [];

  private constructor(address: string) {
    this.#process = fork(join(import.meta.dirname, 'stand-in-server.ts'), [address]);
    setPriority(this.#process.pid!, constants.priority.PRIORITY_LOW);
    this.#process.on('message', (report: Report) => {
      if ('done' in report) this.#awaited.shift()!();
      else if ('taken' in report) this.waiting--;
      else if ('sent' in report) this.unsent--;
      else this.alerts.push(...report.alerts);
    });
  }

  static async start(address: string): Promise<StandInServer> {
    const server = new StandInServer(address);
    await server.listen();
    return server;
  }

  listen(): Promise<void> {
    return this.#order({ what: 'listen' });
  }

  kill(): Promise<void> {
    return this.#order({ what: 'kill' });
  }

  set(usual: Usual): Promise<void> {
    return this.#order({ what: 'set', ...usual });
  }

  /** The answer to the next request for decisions that has none yet, of whatever kind. */
  async next(answer: Answer): Promise<void> {
    this.waiting++;
    this.unsent++;
    await this.#order({ what: 'next', answer });
  }

  /** Resolves when the order was carried out. */
  #order(order: Order): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited.push(resolve);
      this.#process.send(order);
    });
  }
}
