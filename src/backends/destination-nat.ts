/**
 * Whether this host forwards clients' requests to other hosts (destination NAT), as Docker and the
 * like do for published ports. It changes nothing: a legacy table that is not in use is not
 * queried, since that would load it. What cannot be read counts as absent.
 */
import { closeSync, readFileSync } from 'node:fs';
import { native } from '../native.ts';
import { AttributeReader, flagDump, flagRequest } from './netlink/message.ts';
import { NetlinkSocket, openTransport } from './netlink/socket.ts';
import { attribute, command, family, netlinkNetfilter, subsystem } from './nftables/numbers.ts';

const targetName = 'DNAT';
/** NFT_NAT_DNAT. */
const destinationNat = 1;
/** By address family: the file with the tables in use, and the level of their socket options. */
const legacy = {
  4: { names: '/proc/net/ip_tables_names', level: 0 },
  6: { names: '/proc/net/ip6_tables_names', level: 41 },
} as const;
/**
 * IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES, the sizes of their structs, and where these hold the
 * table's size.
 */
const info = { option: 64, bytes: 84, size: 80 } as const;
const entries = { option: 65, headerBytes: 40, size: 32 } as const;

export async function hasDestinationNat(): Promise<boolean> {
  return hasLegacyRule(4) || hasLegacyRule(6) || (await hasNftRule().catch(() => false));
}

async function hasNftRule(): Promise<boolean> {
  const socket = new NetlinkSocket(openTransport(netlinkNetfilter));
  let isFound = false;
  try {
    await socket.dump(
      (writer, sequence) => {
        writer.beginMessage(subsystem | command.getRule, flagRequest | flagDump, sequence, family.unspecified);
        writer.endMessage();
      },
      'list rules',
      (bytes, start, end) => {
        isFound ||= isNatRule(new AttributeReader(bytes, start, end));
      },
      () => undefined,
    );
  } finally {
    socket.close();
  }
  return isFound;
}

/** Whether a rule has a `nat` expression for destinations, native or from iptables-nft. */
function isNatRule(rule: AttributeReader): boolean {
  while (rule.next()) {
    if (rule.type !== attribute.rule.expressions) continue;
    for (const list = rule.nested(); list.next(); ) {
      let name = '';
      const expression = list.nested();
      while (expression.next()) {
        if (expression.type === attribute.expression.name) name = expression.text();
        else if (expression.type === attribute.expression.data && isNat(name, expression.nested())) return true;
      }
    }
  }
  return false;
}

function isNat(name: string, data: AttributeReader): boolean {
  while (data.next()) {
    if (name === 'nat' && data.type === attribute.nat.type && data.u32() === destinationNat) return true;
    if (name === 'target' && data.type === attribute.target.name && data.text() === targetName) return true;
  }
  return false;
}

function hasLegacyRule(version: 4 | 6): boolean {
  const { names, level } = legacy[version];
  let fd = -1;
  try {
    if (!readFileSync(names, 'latin1').split('\n').includes('nat')) return false;
    fd = native.xtablesOpen(version);
    const asked = Buffer.alloc(info.bytes);
    asked.write('nat');
    if (native.socketOption(fd, level, info.option, asked) < 0) return false;
    const size = asked.readUInt32LE(info.size);
    const answer = Buffer.alloc(entries.headerBytes + size);
    answer.write('nat');
    answer.writeUInt32LE(size, entries.size);
    return native.socketOption(fd, level, entries.option, answer) >= 0 && answer.includes(`${targetName}\0`);
  } catch {
    return false;
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}
