/**
 * Sees bans reach the kernel, whoever sends them: listens to the notifications that nf_tables sends
 * after each commit (multicast group NFNLGRP_NFTABLES). It only hears its own namespace.
 */
import { constants } from 'node:os';
import { toAddress } from '../../src/backends/elements.ts';
import { AttributeReader, decodeMessages } from '../../src/backends/netlink/message.ts';
import { openTransport, type Transport } from '../../src/backends/netlink/socket.ts';
import { decodeElements } from '../../src/backends/nftables/decode.ts';
import { command, netlinkNetfilter } from '../../src/backends/nftables/numbers.ts';
import { formatAddress } from '../../src/text/address.ts';

/** Bit of NFNLGRP_NFTABLES (7) in the old-style group mask of bind(2). */
const nftablesGroup = 1 << 6;
const newElement = (10 << 8) | command.newElement;
/** A transaction of thousands of bans is announced at once. */
const receiveBytes = 32 * 1024 * 1024;
const pollMs = 100;

/** An address or prefix that entered a ban set. */
export type Landed = (address: string, atMs: number) => void;

export class BanWatch {
  readonly #transport: Transport = openTransport(netlinkNetfilter, { groups: nftablesGroup, receiveBytes });
  readonly #bytes = Buffer.alloc(1024 * 1024);
  readonly #table: string;
  readonly #landed: Landed;
  readonly #done: Promise<void>;
  #stopped = false;
  /** The socket's buffer was too small at some time: some bans were not seen. */
  lost = false;

  readonly #ipv6Prefix: number;

  /**
   * `landed` gets `performance.now()` of the moment when the notification was read. `asked`: only
   * `look` reads notifications.
   */
  constructor(table: string, ipv6Prefix: number, landed: Landed, asked = false) {
    this.#table = table;
    this.#landed = landed;
    this.#ipv6Prefix = ipv6Prefix;
    this.#done = asked ? Promise.resolve() : this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
    this.#transport.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) if ((await this.#transport.wait(pollMs)) > 0) this.look();
  }

  /** Reads all notifications until now, without waiting. */
  look(): void {
    for (;;) {
      const length = this.#transport.receive(this.#bytes);
      if (length === -constants.errno.ENOBUFS) this.lost = true;
      if (length < 0) return;
      this.#read(length, performance.now());
    }
  }

  #read(length: number, at: number): void {
    for (const { type, start, end } of decodeMessages(this.#bytes, length).messages) {
      if (type !== newElement) continue;
      const reader = new AttributeReader(this.#bytes, start + 4, end);
      let table = '';
      let name = '';
      while (reader.next()) {
        if (reader.type === 1) table = reader.text();
        if (reader.type === 2) name = reader.text();
      }
      // Entries of lists are not decisions.
      if (table !== this.#table || !name.startsWith('ban')) continue;
      const family = name.startsWith('ban4-') ? 4 : 6;
      const set = { name, family, prefix: family === 4 ? 32 : this.#ipv6Prefix } as const;
      decodeElements(this.#bytes, start + 4, end, family === 4 ? 4 : 16, (key) => {
        const bytes = this.#bytes.subarray(key, key + (family === 4 ? 4 : 16));
        this.#landed(formatAddress(toAddress(set, bytes)), at);
      });
    }
  }
}
