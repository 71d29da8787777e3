/**
 * Network interfaces over route netlink: attaches the program that gets their packets first (XDP).
 * Messages of linux/if_link.h and rtnetlink.h; unlike netfilter's, their numbers have the machine's
 * byte order.
 */
import { constants } from 'node:os';
import { KernelError } from '../kernel-error.ts';
import { AttributeReader, flagAck, flagRequest, MessageWriter } from '../netlink/message.ts';
import { NetlinkSocket, openTransport } from '../netlink/socket.ts';

const netlinkRoute = 0;
const message = { getLink: 18, setLink: 19 } as const;
const attribute = { name: 3, xdp: 43 } as const;
const xdpAttribute = { descriptor: 1, flags: 3, programId: 4, expectedDescriptor: 8 } as const;
const xdpFlag = { onlyIfNone: 1, generic: 2, native: 4, replace: 16 } as const;
/** struct ifinfomsg; the writer has already written 4 bytes of it, as if it were an nfgenmsg. */
const headerRestBytes = 12;

/**
 * How a program is attached: in the driver, or in the network stack if the driver does not support
 * it.
 */
export type XdpMode = 'native' | 'generic';

/** A little-endian number, as in attributes. */
function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value | 0);
  return bytes;
}

export class Links {
  readonly #socket = new NetlinkSocket(openTransport(netlinkRoute));

  close(): void {
    this.#socket.close();
  }

  /**
   * The id of the program attached to an interface, 0 = none. @throws KernelError, ENODEV for an
   * unknown interface
   */
  async programId(name: string): Promise<number> {
    let id = 0;
    await this.#socket.ask(
      (writer, sequence) => {
        this.#begin(writer, message.getLink, sequence, name);
        writer.endMessage();
      },
      `look at interface ${name}`,
      (bytes, start, end) => {
        const reader = new AttributeReader(bytes, start + headerRestBytes, end);
        while (reader.next()) {
          if (reader.type !== attribute.xdp) continue;
          const nested = reader.nested();
          while (nested.next()) {
            if (nested.type === xdpAttribute.programId && nested.end - nested.start === 4) {
              id = bytes.readUInt32LE(nested.start);
            }
          }
        }
      },
    );
    return id;
  }

  /**
   * Attaches a program, in the driver if possible. With `previous` (a descriptor) it replaces that
   * program atomically, or (below 0) whichever program is there; else there must be none.
   * @throws KernelError, EBUSY if another program is attached
   */
  async attach(name: string, program: number, previous?: number): Promise<XdpMode> {
    const how = previous === undefined ? xdpFlag.onlyIfNone : previous < 0 ? 0 : xdpFlag.replace;
    try {
      await this.#set(name, program, xdpFlag.native | how, previous);
      return 'native';
    } catch (error) {
      const { EOPNOTSUPP, EINVAL, ENOMEM, ENOSPC, EEXIST } = constants.errno;
      const mayFall = [EOPNOTSUPP, EINVAL, ENOMEM, ENOSPC, EEXIST];
      if (!(error instanceof KernelError) || !mayFall.includes(error.errno)) throw error;
    }
    await this.#set(name, program, xdpFlag.generic | how, previous);
    return 'generic';
  }

  /** Detaches a program, if it is still the attached one. */
  async detach(name: string, mode: XdpMode, previous: number): Promise<void> {
    await this.#set(name, -1, (mode === 'native' ? xdpFlag.native : xdpFlag.generic) | xdpFlag.replace, previous);
  }

  #set(name: string, program: number, flags: number, previous?: number): Promise<void> {
    const sequence = this.#socket.nextSequence();
    const writer = new MessageWriter(256);
    this.#begin(writer, message.setLink, sequence, name);
    writer.begin(attribute.xdp);
    writer.raw(xdpAttribute.descriptor, number(program));
    writer.raw(xdpAttribute.flags, number(flags));
    if (previous !== undefined && previous >= 0) writer.raw(xdpAttribute.expectedDescriptor, number(previous));
    writer.end();
    writer.endMessage();
    const operation = `${program < 0 ? 'detach program from' : 'attach program to'} interface ${name}`;
    return this.#socket.exchange(writer.bytes(), [{ sequence, operation }]);
  }

  #begin(writer: MessageWriter, type: number, sequence: number, name: string): void {
    writer.beginMessage(type, flagRequest | flagAck, sequence, 0);
    writer.zeros(headerRestBytes);
    writer.text(attribute.name, name);
  }
}
