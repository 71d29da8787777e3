/**
 * What the backends have in common that hold bans as elements of kernel sets, two of each jail:
 * changes grouped into transactions, the bans that are held, and whether anybody changed what
 * stands around them.
 */
import { changesPerTransactionMax } from '../limits.ts';
import type { Address, Ban, Change, JailScaffold } from '../types.ts';
import * as elements from './elements.ts';
import type { KernelError } from './kernel-error.ts';
import type { NetlinkSocket } from './netlink/socket.ts';

/** A jail's sets. */
interface JailSets<Set> {
  jail: string;
  sets: { 4: Set; 6: Set };
}

/** Told where a key stands in the bytes of a dump, and the time that remains; 0 = without end. */
export type VisitElement = (bytes: Buffer, at: number, remainingMs: number) => void;

export abstract class SetBackend<Set extends elements.SetShape, Layout extends JailSets<Set>> {
  readonly holds = true;
  protected readonly socket: NetlinkSocket;
  protected readonly layouts = new Map<string, Layout>();
  /** How everything but the elements looked right after we made it. */
  #fingerprint: string | null = null;

  constructor(socket: NetlinkSocket) {
    this.socket = socket;
  }

  abstract install(jails: JailScaffold[]): Promise<void>;

  /** One transaction; see `applySmaller`. */
  protected abstract applyGroups(groups: elements.SetChanges<Set>[]): Promise<void>;

  /**
   * Visits the elements of the kernel's set of that name; `restart` says to forget what was seen.
   * `tolerant`: others may write meanwhile, and something may be missed or repeated.
   */
  protected abstract dumpElements(
    set: Set,
    visit: VisitElement,
    restart: () => void,
    options?: { tolerant?: boolean },
  ): Promise<void>;

  protected abstract readFingerprint(): Promise<string>;

  /**
   * Bans and unbans; of several changes of one address the last one counts. After an error any
   * earlier transaction (of changesPerTransactionMax) holds: apply the same changes again, that is
   * harmless.
   */
  async apply(changes: Change[]): Promise<void> {
    for (let from = 0; from < changes.length; from += changesPerTransactionMax) {
      const to = Math.min(changes.length, from + changesPerTransactionMax);
      await this.applyGroups(elements.groupChanges(changes, from, to, this.#setOf));
    }
  }

  async each(visit: (ban: Ban) => void): Promise<number> {
    let count = 0;
    for (const { jail, sets } of this.layouts.values()) {
      for (const set of [sets[4], sets[6]]) {
        const visitElement: VisitElement = (bytes, at, timeoutMs) => {
          count++;
          const key = bytes.subarray(at, at + elements.keyBytes[set.family]);
          visit({ jail, address: elements.toAddress(set, key), timeoutMs });
        };
        await this.dumpElements(set, visitElement, () => undefined, { tolerant: true });
      }
    }
    return count;
  }

  async reconcile(jails: JailScaffold[]): Promise<boolean> {
    if (this.#fingerprint !== null && (await this.readFingerprint()) === this.#fingerprint) return false;
    await this.install(jails);
    return true;
  }

  /** What was installed just now. */
  protected async note(layouts: readonly Layout[]): Promise<void> {
    this.forget();
    for (const layout of layouts) this.layouts.set(layout.jail, layout);
    this.#fingerprint = await this.readFingerprint();
  }

  /** All was removed. */
  protected forget(): void {
    this.layouts.clear();
    this.#fingerprint = null;
  }

  /** Applies what was too much for one transaction in smaller ones; repeating does no harm. */
  protected async applySmaller(groups: elements.SetChanges<Set>[], error: KernelError): Promise<void> {
    const parts = elements.smaller(groups);
    if (parts.length === 0) throw error;
    for (const part of parts) await this.applyGroups(part);
  }

  protected async readHoldings(set: Set): Promise<elements.Holdings> {
    const holdings: elements.Holdings = new Map();
    await this.dumpElements(
      set,
      (bytes, at, remaining) => holdings.set(elements.keyText(bytes, at, elements.keyBytes[set.family]), remaining),
      () => holdings.clear(),
    );
    return holdings;
  }

  /**
   * The elements of the kernel's set of that name, those of IPv6 masked to the prefix of `set`: an
   * IPv4 ban grows to no prefix.
   */
  protected async readElements(set: Set): Promise<elements.Element[]> {
    const byKey: elements.Holdings = new Map();
    const mask = elements.prefixMask(set.family === 4 ? 32 : set.prefix, elements.keyBytes[set.family]);
    for (const [text, remaining] of await this.readHoldings(set)) {
      const key = elements.keyText(elements.keyOfText(text).map((byte, index) => byte & mask[index]!));
      const known = byKey.get(key);
      byKey.set(key, known === undefined ? remaining : elements.longer(known, remaining));
    }
    return [...byKey].map(([text, timeoutMs]) => ({ key: elements.keyOfText(text), timeoutMs }));
  }

  readonly #setOf = (jail: string, address: Address) => elements.setFor(this.layouts.get(jail)?.sets, jail, address);
}
