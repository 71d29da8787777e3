/** What the file of records holds: one event a line, as JSON in ASCII. */

export type EventKind = 'ban' | 'restored' | 'unban' | 'expired' | 'command' | 'lost';

export interface Event {
  /** One more than the number of the event before, over restarts too. */
  number: number;
  /** Epoch seconds, with thousandths. */
  at: number;
  event: EventKind;
  jail?: string;
  /** One, or several that were banned or unbanned at once. */
  addresses?: string[];
  /** Epoch second at which the ban ends; -1 = it does not. */
  until?: number;
  /** What led to the ban: failures within findtime, and the line that was the last of them. */
  failures?: number;
  pattern?: string;
  file?: string;
  offset?: number;
  /** An operator: who asked and why. */
  by?: { uid: number; pid: number };
  reason?: string;
  command?: string;
  /** Events that could not be written. */
  count?: number;
}
