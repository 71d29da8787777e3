/** A kernel of the test's making: a backend over a map. */
import { formatAddress } from '../../src/text/address.ts';
import type { Backend, Ban, Change, JailScaffold } from '../../src/types.ts';

/** All-or-nothing transactions over a map; `refuse` looks at each of them first. */
export class FakeKernel implements Backend {
  readonly name = 'nftables';
  readonly holds = true;
  readonly held = new Map<string, Ban>();
  readonly transactions: string[][] = [];
  refuse: (bans: string[]) => Error | undefined = () => undefined;

  async install(_?: JailScaffold[]): Promise<void> {}

  async apply(changes: Change[]): Promise<void> {
    const texts = changes.map((change) => formatAddress(change.verb === 'ban' ? change.ban.address : change.address));
    this.transactions.push(texts);
    await Promise.resolve();
    const error = this.refuse(texts);
    if (error) throw error;
    for (const [index, change] of changes.entries()) {
      if (change.verb === 'ban') this.held.set(texts[index]!, change.ban);
      else this.held.delete(texts[index]!);
    }
  }

  async each(visit: (ban: Ban) => void): Promise<number> {
    for (const ban of this.held.values()) visit(ban);
    return this.held.size;
  }

  async reconcile(): Promise<boolean> {
    return false;
  }

  async remove(): Promise<void> {}
  close(): void {}
}

/** So many addresses, from 10.0.0.`first` on. */
export const addresses = (count: number, first = 0) =>
  Array.from({ length: count }, (_, n) => `10.0.${(first + n) >> 8}.${(first + n) & 255}`);
