/**
 * The xdp backend: an eBPF program on configured interfaces drops banned sources before the network stack works on them.
 * It sees every packet that comes in there, to this host or through it, whatever its port: a jail with ports is refused.
 *
 * Bans stand in hash maps with their end, which the program honours, so that a ban ends though we are gone; the program
 * stays attached when we end. `drop4` and `drop6` say how long a source is dropped, by the jail that bans it longest;
 * `bans` says which jail bans it until when. Ends that are over are removed when bans are listed, and where a map is full
 * (E2BIG). A program of ours that is found attached is replaced in one step, its maps taken over (CAP_SYS_ADMIN).
 * A prefix that holds an allowed network is refused, since all of it would be dropped.
 * Each change is a map update of a microsecond; there are no transactions: after an error what came before holds.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { jailNameMax, xdpBansMax, xdpPrefixesMax, xdpSliceElements } from '../limits.ts';
import { native } from '../native.ts';
import type { Address, Backend, Ban, Change, JailScaffold } from '../types.ts';
import { BpfError, BpfMap, loadXdpProgram, mapType, programById, programInfo } from './bpf.ts';
import { keyBytes, prefixMask, refuseReject, removeUnwanted, toKey, UnsupportedChange } from './elements.ts';
import { Links, type XdpMode } from './link.ts';
import { counted, drop4KeyBytes, drop6KeyBytes, dropValueBytes, xdpProgram } from './xdp-program.ts';

const { E2BIG, EPERM } = constants.errno;
const programName = 'fail2zig';
/** Key of `bans`: jail name, zero-filled; family; prefix length; two zeros; the address's 16 bytes. */
const banKeyBytes = jailNameMax + 20;
const nanosecondsPerMillisecond = 1_000_000n;

/** Our maps: name, type, bytes of keys and values, elements. */
const shapes = {
  drop4: ['f2z_drop4', mapType.hash, drop4KeyBytes, dropValueBytes, xdpBansMax],
  drop6: ['f2z_drop6', mapType.hash, drop6KeyBytes, dropValueBytes, xdpBansMax],
  bans: ['f2z_bans', mapType.hash, banKeyBytes, dropValueBytes, xdpBansMax],
  counters: ['f2z_dropped', mapType.array, 4, 8, 2],
} as const;
type Maps = Record<keyof typeof shapes, BpfMap>;

export interface XdpOptions {
  /** Names of the interfaces to guard. */
  interfaces: readonly string[];
  /** Elements of each map. */
  bansMax?: number;
}

interface Attached {
  interface: string;
  mode: XdpMode;
}

export class XdpBackend implements Backend {
  readonly name = 'xdp';
  readonly #interfaces: readonly string[];
  readonly #bansMax: number;
  readonly #links = new Links();
  #maps: Maps | undefined;
  #program = -1;
  #programId = 0;
  #attached: Attached[] = [];
  #jails = new Map<string, JailScaffold>();

  constructor({ interfaces, bansMax = xdpBansMax }: XdpOptions) {
    this.#interfaces = interfaces;
    this.#bansMax = bansMax;
  }

  /** How the program is attached, for people. */
  get attached(): readonly Attached[] {
    return this.#attached;
  }

  /** Packets dropped since the maps were made. */
  dropped(family: 4 | 6): number {
    const key = Buffer.alloc(4);
    const value = Buffer.alloc(8);
    key.writeUInt32LE(counted[family]);
    return this.#maps?.counters.lookup(key, value) ? Number(value.readBigUInt64LE()) : 0;
  }

  close(): void {
    this.#release();
    this.#links.close();
  }

  async install(jails: JailScaffold[]): Promise<void> {
    if (this.#interfaces.length === 0) throw new UnsupportedChange('the xdp backend needs firewall.interfaces');
    const limited = jails.find(({ ports }) => ports.length > 0);
    if (limited) {
      throw new UnsupportedChange(
        `the xdp backend drops all packets of a source, but jail ${limited.name} is about some ports only: set its port to "all", or choose another backend`,
      );
    }
    refuseReject(this.name, jails);
    const prefixes = [...new Set(jails.map(({ ipv6Prefix }) => ipv6Prefix))].sort((a, b) => b - a);
    if (prefixes.length > xdpPrefixesMax) {
      throw new UnsupportedChange(`the xdp backend looks up ${xdpPrefixesMax} lengths of IPv6 prefixes at most`);
    }
    const present = new Map<string, number>();
    try {
      for (const name of this.#interfaces) {
        const program = await this.#ownProgram(name);
        if (program >= 0) present.set(name, program);
      }
      this.#maps ??= this.#adoptMaps([...present.values()]) ?? this.#createMaps();
      const { drop4, drop6, counters, bans } = this.#maps;
      const code = xdpProgram(
        { drop4: drop4.descriptor, drop6: drop6.descriptor, counters: counters.descriptor, bans: bans.descriptor },
        prefixes,
      );
      const program = loadXdpProgram(programName, code);
      try {
        await this.#attach(program, present);
      } catch (error) {
        closeSync(program);
        throw error;
      }
      if (this.#program >= 0) closeSync(this.#program);
      this.#program = program;
      this.#programId = programInfo(program).id;
    } finally {
      for (const descriptor of present.values()) closeSync(descriptor);
    }
    this.#jails = new Map(jails.map((jail) => [jail.name, jail]));
    await this.#dropOtherJails();
  }

  async apply(changes: Change[]): Promise<void> {
    for (const change of changes) {
      const { jail, address } = change.verb === 'ban' ? change.ban : change;
      const masked = this.#masked(jail, address);
      if (change.verb === 'ban') this.#refuseAllowed(jail, masked);
      if (change.verb === 'ban' && change.ban.timeoutMs >= 0) await this.#ban(jail, masked, change.ban.timeoutMs);
      else this.#unban(jail, masked);
    }
  }

  async list(): Promise<Ban[]> {
    const bans: Ban[] = [];
    await this.each((ban) => bans.push(ban));
    return bans;
  }

  /** A ban that the program does not honour is none; bans that are over are removed on the way. */
  async each(visit: (ban: Ban) => void): Promise<number> {
    const maps = this.#installed();
    let count = 0;
    for (const { keys, values, count: length } of maps.bans.slices(xdpSliceElements)) {
      const now = native.bootNanoseconds();
      for (let index = 0; index < length; index++) {
        const { jail, address } = readBanKey(keys.subarray(index * banKeyBytes, (index + 1) * banKeyBytes));
        const end = values.readBigUInt64LE(index * dropValueBytes);
        if (end !== 0n && end <= now) this.#unban(jail, address);
        else if (isLater(this.#dropEnd(address), end)) {
          count++;
          visit({ jail, address, timeoutMs: end === 0n ? 0 : Number((end - now) / nanosecondsPerMillisecond) + 1 });
        }
      }
      await turn();
    }
    return count;
  }

  async reconcile(jails: JailScaffold[], isWanted: (held: Ban) => boolean): Promise<number> {
    let count = 0;
    for (const { interface: name } of this.#attached) {
      if ((await this.#links.programId(name)) === this.#programId) continue;
      await this.install(jails);
      count = 1;
      break;
    }
    return count + (await removeUnwanted(this, isWanted));
  }

  /** Takes the program off the interfaces; with its last user it goes, and the maps with it. */
  async remove(): Promise<void> {
    for (const { interface: name, mode } of this.#attached) {
      if ((await this.#links.programId(name)) === this.#programId) await this.#links.detach(name, mode, this.#program);
    }
    this.#attached = [];
    this.#release();
  }

  #release(): void {
    if (this.#program >= 0) closeSync(this.#program);
    this.#program = -1;
    for (const map of Object.values(this.#maps ?? {})) map.close();
    this.#maps = undefined;
  }

  #installed(): Maps {
    if (this.#maps === undefined) throw new UnsupportedChange('the xdp backend is not installed');
    return this.#maps;
  }

  // --- Program and maps -------------------------------------------------------------------------------------------------

  /** A descriptor of the program of ours that an interface has, -1 = none, or none that we may look at. */
  async #ownProgram(name: string): Promise<number> {
    const id = await this.#links.programId(name);
    if (id === 0) return -1;
    try {
      const descriptor = programById(id);
      if (programInfo(descriptor).name === programName) return descriptor;
      closeSync(descriptor);
    } catch (error) {
      // Without CAP_SYS_ADMIN the kernel shows us nobody's program; attaching then says EBUSY.
      if (!(error instanceof BpfError) || error.errno !== EPERM) throw error;
    }
    return -1;
  }

  /** The maps of an earlier run, where they are made as we would make them. */
  #adoptMaps(programs: number[]): Maps | undefined {
    for (const program of programs) {
      const found = programInfo(program).mapIds.map((id) => BpfMap.open(id));
      const maps = Object.fromEntries(
        Object.entries(shapes).map(([key, [name, , keyBytes, valueBytes]]) => [
          key,
          found.find((map) => map.name === name && map.keyBytes === keyBytes && map.valueBytes === valueBytes),
        ]),
      );
      const isWhole = Object.values(maps).every((map) => map !== undefined);
      for (const map of found) if (!isWhole || !Object.values(maps).includes(map)) map.close();
      if (isWhole) return maps as Maps;
    }
    return undefined;
  }

  #createMaps(): Maps {
    const made: [string, BpfMap][] = [];
    try {
      for (const [key, [name, type, keyBytes, valueBytes, elementsMax]] of Object.entries(shapes)) {
        const count = type === mapType.hash ? this.#bansMax : elementsMax;
        made.push([key, BpfMap.create(name, type, keyBytes, valueBytes, count)]);
      }
    } catch (error) {
      for (const [, map] of made) map.close();
      throw error;
    }
    return Object.fromEntries(made) as Maps;
  }

  /** On every interface, or on none that had none. */
  async #attach(program: number, present: Map<string, number>): Promise<void> {
    const attached: Attached[] = [];
    try {
      for (const name of this.#interfaces) {
        attached.push({ interface: name, mode: await this.#links.attach(name, program, present.get(name)) });
      }
    } catch (error) {
      for (const { interface: name, mode } of attached) {
        if (!present.has(name)) await this.#links.detach(name, mode, program).catch(() => undefined);
      }
      throw error;
    }
    this.#attached = attached;
  }

  // --- Bans -------------------------------------------------------------------------------------------------------------

  #masked(jail: string, address: Address): Address {
    const scaffold = this.#jails.get(jail);
    if (scaffold === undefined) throw new UnsupportedChange(`jail ${jail} is not installed`);
    const prefix = address.family === 4 ? 32 : scaffold.ipv6Prefix;
    if (address.prefix < prefix) throw new UnsupportedChange(`jail ${jail} bans no /${address.prefix}`);
    const key = toKey({ name: jail, family: address.family, prefix }, address);
    const bytes = new Uint8Array(16);
    if (address.family === 4) bytes.fill(0xff, 10, 12);
    bytes.set(key, 16 - key.length);
    return { family: address.family, bytes, prefix };
  }

  #refuseAllowed(jail: string, { family, bytes, prefix }: Address): void {
    const mask = prefixMask(prefix, keyBytes[family]);
    const start = 16 - mask.length;
    const isInside = (network: Address) =>
      network.family === family &&
      network.prefix >= prefix &&
      mask.every((bits, at) => (network.bytes[start + at]! & bits) === bytes[start + at]);
    if (this.#jails.get(jail)!.allow?.some(isInside)) {
      throw new UnsupportedChange(`jail ${jail}: the xdp backend cannot ban a prefix that holds an allowed network`);
    }
  }

  async #ban(jail: string, address: Address, timeoutMs: number): Promise<void> {
    const end =
      timeoutMs === 0 ? 0n : native.bootNanoseconds() + BigInt(Math.ceil(timeoutMs)) * nanosecondsPerMillisecond;
    try {
      this.#put(jail, address, end);
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno !== E2BIG) throw error;
      // Bans that are over may be in the way.
      await this.each(() => undefined);
      this.#put(jail, address, end);
    }
  }

  #put(jail: string, address: Address, end: bigint): void {
    const { bans } = this.#installed();
    const value = Buffer.alloc(dropValueBytes);
    value.writeBigUInt64LE(end);
    // The program first: what it does not honour is not to be believed.
    if (!isLater(this.#dropEnd(address), end)) this.#writeDrop(address, end);
    try {
      bans.update(banKey(jail, address), value);
    } finally {
      // Also right where the ban became shorter, and where it found no room.
      this.#settle(address);
    }
  }

  #unban(jail: string, address: Address): void {
    this.#installed().bans.delete(banKey(jail, address));
    this.#settle(address);
  }

  /** Makes the program drop a source as long as the jail that bans it longest says. */
  #settle(address: Address): void {
    const { bans } = this.#installed();
    const value = Buffer.alloc(dropValueBytes);
    let longest: bigint | undefined;
    for (const { name, ipv6Prefix } of this.#jails.values()) {
      if (address.family === 6 && ipv6Prefix !== address.prefix) continue;
      if (!bans.lookup(banKey(name, address), value)) continue;
      const end = value.readBigUInt64LE();
      if (longest === undefined || isLater(end, longest)) longest = end;
    }
    if (longest === undefined) this.#dropMap(address).delete(dropKey(address));
    else if (this.#dropEnd(address) !== longest) this.#writeDrop(address, longest);
  }

  #dropMap({ family }: Address): BpfMap {
    const { drop4, drop6 } = this.#installed();
    return family === 4 ? drop4 : drop6;
  }

  /** Until when the program drops a source, on the boot clock; 0 = for ever, undefined = it does not. */
  #dropEnd(address: Address): bigint | undefined {
    const value = Buffer.alloc(dropValueBytes);
    return this.#dropMap(address).lookup(dropKey(address), value) ? value.readBigUInt64LE() : undefined;
  }

  #writeDrop(address: Address, end: bigint): void {
    const value = Buffer.alloc(dropValueBytes);
    value.writeBigUInt64LE(end);
    this.#dropMap(address).update(dropKey(address), value);
  }

  /** Bans of jails that are gone end. */
  async #dropOtherJails(): Promise<void> {
    for (const { keys, count } of this.#installed().bans.slices(xdpSliceElements)) {
      for (let index = 0; index < count; index++) {
        const { jail, address } = readBanKey(keys.subarray(index * banKeyBytes, (index + 1) * banKeyBytes));
        const scaffold = this.#jails.get(jail);
        const isKept = scaffold !== undefined && (address.family === 4 || scaffold.ipv6Prefix === address.prefix);
        if (!isKept) this.#unban(jail, address);
      }
      await turn();
    }
  }
}

/** Whether the first end is at least as late as the second; 0 = never ends. */
function isLater(end: bigint | undefined, other: bigint): boolean {
  if (end === undefined) return false;
  return end === 0n || (other !== 0n && end >= other);
}

function dropKey({ family, bytes, prefix }: Address): Buffer {
  if (family === 4) return Buffer.from(bytes.subarray(12));
  const key = Buffer.alloc(drop6KeyBytes);
  key.writeUInt32LE(prefix);
  key.set(bytes, 4);
  return key;
}

function banKey(jail: string, { family, bytes, prefix }: Address): Buffer {
  const key = Buffer.alloc(banKeyBytes);
  key.write(jail, 0, jailNameMax, 'latin1');
  key[jailNameMax] = family;
  key[jailNameMax + 1] = prefix;
  key.set(bytes, jailNameMax + 4);
  return key;
}

function readBanKey(key: Buffer): { jail: string; address: Address } {
  const end = key.indexOf(0);
  return {
    jail: key.toString('latin1', 0, end < 0 || end > jailNameMax ? jailNameMax : end),
    address: {
      family: key[jailNameMax] === 4 ? 4 : 6,
      prefix: key[jailNameMax + 1]!,
      bytes: Uint8Array.from(key.subarray(jailNameMax + 4)),
    },
  };
}
