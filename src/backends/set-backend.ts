/**
 * Shared by the backends that hold bans as elements of kernel sets, two for each jail: groups
 * changes into transactions, lists the bans, and detects whether others changed anything but the
 * elements.
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

/** Gets the position of a key in the bytes of a dump, and the remaining time; 0 = without end. */
export type VisitElement = (bytes: Buffer, at: number, remainingMs: number) => void;

export abstract class SetBackend<Set extends elements.SetShape, Layout extends JailSets<Set>> {
  readonly holds = true;
  protected readonly socket: NetlinkSocket;
  protected readonly layouts = new Map<string, Layout>();
  /** Everything but the elements, as it was right after our change. */
  #fingerprint: string | null = null;

  constructor(socket: NetlinkSocket) {
    this.socket = socket;
  }

  abstract install(jails: JailScaffold[]): Promise<void>;

  /** One transaction; see `applySmaller`. */
  protected abstract applyGroups(groups: elements.SetChanges<Set>[]): Promise<void>;

  /**
   * Visits the elements of the kernel's set of that name; `restart` says to forget what was
   * visited. `tolerant`: others may write meanwhile, and elements may be missed or repeated.
   */
  protected abstract dumpElements(
    set: Set,
    visit: VisitElement,
    restart: () => void,
    options?: { tolerant?: boolean },
  ): Promise<void>;

  protected abstract readFingerprint(): Promise<string>;

  /**
   * Bans and unbans; of several changes of one address the last one counts. After an error, any of
   * the transactions (of changesPerTransactionMax) may have been applied; applying the same changes
   * again does no harm.
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

  /** Called after an install. */
  protected async note(layouts: readonly Layout[]): Promise<void> {
    this.forget();
    for (const layout of layouts) this.layouts.set(layout.jail, layout);
    this.#fingerprint = await this.readFingerprint();
  }

  /** Called after everything was removed. */
  protected forget(): void {
    this.layouts.clear();
    this.#fingerprint = null;
  }

  /**
   * Applies changes that were too large for one transaction in smaller ones; repeating does no
   * harm.
   */
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
   * The elements of the kernel's set of that name; those of IPv6 are masked to the prefix of `set`.
   * IPv4 bans are never widened to a prefix.
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
