/**
 * The xdp backend: an eBPF program on configured interfaces drops packets of banned sources before
 * the network stack processes them. It sees every packet that arrives there and knows its ports,
 * but not whether it is for this host: packets to be forwarded are dropped as well, and `notes`
 * says so if this host forwards any. It cannot answer a packet: a jail with `reject` is refused.
 *
 * Bans are in hash maps with their end, which the program checks, so a ban ends even if the daemon
 * is gone; the program stays attached when the daemon stops. `bans` says which jail bans a source
 * until when; `drop4` and `drop6` say the same by scope, for the jail that bans it longest
 * (program.ts). Expired entries are removed when bans are listed, and when a map is full (E2BIG). A
 * program of ours that is already attached is replaced in one step, after the new maps were filled
 * from its bans; until then it keeps running. Without CAP_SYS_ADMIN the kernel shows a daemon no
 * program that it has not loaded itself: of an earlier run's program we only know the id, from
 * `record`, and its bans come from the state. Each change is a map update of a microsecond. There
 * are no transactions: after an error, the changes before it are applied.
 */
import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { bansMaxLargest, jailNameMax, xdpPrefixesMax, xdpScopesMax, xdpSliceElements } from '../../limits.ts';
import { native } from '../../native.ts';
import { isWithin } from '../../text/address.ts';
import type { Address, Backend, Ban, Change, Drops, JailScaffold } from '../../types.ts';
import { toAddress, toKey, UnsupportedChange, widths } from '../elements.ts';
import { BpfError, BpfMap, loadXdpProgram, mapType, programById, programInfo } from './bpf.ts';
import { Links, type XdpMode } from './link.ts';
import {
  destinations,
  drop4KeyBytes,
  drop6KeyBytes,
  jailOfSlot,
  scopeBitsBytes,
  scopesByDestination,
  slotBytes,
  slotOf,
  xdpProgram,
} from './program.ts';

const { E2BIG, EPERM } = constants.errno;
const programName = 'fail2zig';
/**
 * Key of `bans`: jail name, zero-filled; family; prefix length; two zeros; the address's 16 bytes.
 * Value: the end, 0 = none.
 */
const banKeyBytes = jailNameMax + 20;
const endBytes = 8;
const bansMapName = 'f2z_bans';
const counterBytes = 8;
const nanosecondsPerMillisecond = 1_000_000n;
/** The interface has no program of ours; or it has one that we may not open. */
const noProgram = -1;
const hiddenProgram = -2;
/** Whether this host passes on packets that are not its own. */
const forwardingFiles = ['/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf/all/forwarding'];

/** The maps that depend on the jails; a change of the jails makes new ones. */
interface Maps {
  drop4: BpfMap;
  drop6: BpfMap;
  counters: BpfMap;
  ports: BpfMap | undefined;
  allow: BpfMap | undefined;
}

/** The jails in the form that the program needs. */
interface Plan {
  /** By name; a jail's number is its index. */
  jails: Map<string, PlannedJail>;
  /** Lengths of IPv6 prefixes that may be banned, the longest first. */
  prefixes: number[];
  scopes: Scope[];
}

/** Jails with the same ports and allowed networks. */
interface Scope {
  ports: JailScaffold['ports'];
  protocols: JailScaffold['protocols'];
  allow: readonly Address[];
  jails: PlannedJail[];
}

interface PlannedJail extends JailScaffold {
  number: number;
  scope: number;
}

export interface XdpOptions {
  /** Names of the interfaces to guard. */
  interfaces: readonly string[];
  /** Elements of each map. */
  bansMax?: number;
  /** A file that says which program is ours, in a directory of ours alone. */
  record?: string;
}

interface Attached {
  interface: string;
  mode: XdpMode;
}

export class XdpBackend implements Backend {
  readonly name = 'xdp';
  readonly holds = true;
  readonly #interfaces: readonly string[];
  readonly #bansMax: number;
  readonly #record: string | undefined;
  readonly #links = new Links();
  #bans: BpfMap | undefined;
  #maps: Maps | undefined;
  #program = -1;
  #programId = 0;
  #attached: Attached[] = [];
  #plan: Plan = { jails: new Map(), prefixes: [], scopes: [] };

  constructor({ interfaces, bansMax = bansMaxLargest, record }: XdpOptions) {
    this.#interfaces = interfaces;
    this.#bansMax = bansMax;
    this.#record = record;
  }

  get notes(): string[] {
    const narrow = [...this.#plan.jails.values()].filter(({ hooks }) => !hooks.includes('forward'));
    if (narrow.length === 0 || !forwards()) return [];
    const names = narrow.map(({ name }) => name).join(', ');
    return [
      `this host forwards packets, and the xdp backend cannot tell those from its own: it drops both, though hooks has no "forward" in ${names}`,
    ];
  }

  close(): void {
    this.#release();
    this.#links.close();
  }

  async install(jails: JailScaffold[]): Promise<void> {
    if (this.#interfaces.length === 0) throw new UnsupportedChange('the xdp backend needs firewall.interfaces');
    const plan = planOf(jails);
    const present = new Map<string, number>();
    const own = this.#program;
    try {
      for (const name of this.#interfaces) {
        const program = await this.#ownProgram(name);
        if (program !== noProgram) present.set(name, program);
      }
      this.#bans ??=
        adoptBans([...present.values()].filter((program) => program !== hiddenProgram)) ??
        BpfMap.create(bansMapName, mapType.hash, banKeyBytes, endBytes, this.#bansMax);
      const isSame = this.#maps !== undefined && textOf(plan) === textOf(this.#plan);
      const before = { plan: this.#plan, maps: this.#maps };
      this.#plan = plan;
      if (!isSame) this.#maps = createMaps(plan, this.#bansMax);
      try {
        if (!isSame) await this.#fill();
        await this.#start(present);
      } catch (error) {
        if (!isSame) closeMaps(this.#maps);
        this.#plan = before.plan;
        this.#maps = before.maps;
        throw error;
      }
      if (!isSame) closeMaps(before.maps);
    } finally {
      for (const program of present.values()) if (program !== own && program !== hiddenProgram) closeSync(program);
    }
    await this.#dropOtherJails();
  }

  async apply(changes: Change[]): Promise<void> {
    for (const change of changes) {
      const { jail, address } = change.verb === 'ban' ? change.ban : change;
      const planned = this.#jail(jail);
      const masked = maskedFor(planned, address);
      if (change.verb === 'ban' && change.ban.timeoutMs >= 0) await this.#ban(planned, masked, change.ban.timeoutMs);
      else this.#unban(planned, masked);
    }
  }

  /** A ban that the program does not enforce is not listed; expired bans are removed on the way. */
  async each(visit: (ban: Ban) => void): Promise<number> {
    const { bans } = this.#installed();
    let count = 0;
    for (const { keys, values, count: length } of bans.slices(xdpSliceElements)) {
      const now = native.bootNanoseconds();
      for (let index = 0; index < length; index++) {
        const { jail: name, address } = readBanKey(keys.subarray(index * banKeyBytes, (index + 1) * banKeyBytes));
        const jail = this.#plan.jails.get(name);
        if (jail === undefined) continue;
        const end = values.readBigUInt64LE(index * endBytes);
        if (end !== 0n && end <= now) this.#unban(jail, address);
        else if (this.#slots(address).readBigUInt64LE(jail.scope * slotBytes) >= slotOf(end, 0)) {
          count++;
          const timeoutMs = end === 0n ? 0 : Number((end - now) / nanosecondsPerMillisecond) + 1;
          visit({ jail: name, address, timeoutMs });
        }
      }
      await turn();
    }
    return count;
  }

  /** Packets that the program dropped since its counters were created: one lookup for each jail. */
  drops(): Promise<Drops> {
    const { counters } = this.#installed();
    const key = Buffer.alloc(4);
    const value = Buffer.alloc(counterBytes);
    const dropped: Drops = new Map();
    for (const { name, number } of this.#plan.jails.values()) {
      key.writeUInt32LE(number);
      dropped.set(name, counters.lookup(key, value) ? Number(value.readBigUInt64LE()) : 0);
    }
    return Promise.resolve(dropped);
  }

  async reconcile(jails: JailScaffold[]): Promise<boolean> {
    for (const { interface: name } of this.#attached) {
      if ((await this.#links.programId(name)) === this.#programId) continue;
      await this.install(jails);
      return true;
    }
    return false;
  }

  /**
   * Detaches the program from the interfaces; the kernel frees it and its maps with the last
   * reference.
   */
  async remove(): Promise<void> {
    for (const { interface: name, mode } of this.#attached) {
      if ((await this.#links.programId(name)) === this.#programId) await this.#links.detach(name, mode, this.#program);
    }
    // A program that an earlier process attached stays attached after that process has ended.
    if (this.#program < 0) for (const name of this.#interfaces) await this.#takeOff(name);
    this.#attached = [];
    this.#release();
  }

  async #takeOff(name: string): Promise<void> {
    const program = await this.#ownProgram(name);
    if (program < 0) return;
    const detach = (mode: XdpMode): Promise<void> => this.#links.detach(name, mode, program);
    try {
      await detach('native').catch(() => detach('generic'));
    } finally {
      closeSync(program);
    }
  }

  #release(): void {
    if (this.#program >= 0) closeSync(this.#program);
    this.#program = -1;
    closeMaps(this.#maps);
    this.#maps = undefined;
    this.#bans?.close();
    this.#bans = undefined;
  }

  #installed(): Maps & { bans: BpfMap } {
    if (this.#maps === undefined || this.#bans === undefined)
      throw new UnsupportedChange('the xdp backend is not installed');
    return { ...this.#maps, bans: this.#bans };
  }

  // --- Program and maps --------------------------------------------------------------------------

  /** A descriptor of the program of ours that an interface has, or what is said of it above. */
  async #ownProgram(name: string): Promise<number> {
    const id = await this.#links.programId(name);
    if (id === 0) return noProgram;
    // A confined daemon may ask for nobody's program, and has its own open.
    if (id === this.#programId) return this.#program;
    try {
      const descriptor = programById(id);
      if (programInfo(descriptor).name === programName) return descriptor;
      closeSync(descriptor);
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno !== EPERM) throw error;
      if (this.#recorded() === recordOf(id)) return hiddenProgram;
    }
    // Attaching then says EBUSY.
    return noProgram;
  }

  #recorded(): string {
    try {
      return readFileSync(this.#record ?? '', 'latin1');
    } catch {
      return '';
    }
  }

  /** What cannot be written is not taken over by the next run, which says so. */
  #writeRecord(): void {
    if (this.#record === undefined) return;
    try {
      writeFileSync(this.#record, recordOf(this.#programId), { mode: 0o600 });
    } catch {
      // It stays attached, and drops what it did.
    }
  }

  /** Fills maps that no program uses yet from the bans of an earlier run. */
  async #fill(): Promise<void> {
    const { bans } = this.#installed();
    for (const { keys, values, count } of bans.slices(xdpSliceElements)) {
      for (let index = 0; index < count; index++) {
        const { jail, address } = readBanKey(keys.subarray(index * banKeyBytes, (index + 1) * banKeyBytes));
        const planned = this.#plan.jails.get(jail);
        if (!isKept(planned, address)) continue;
        this.#raise(address, planned, values.readBigUInt64LE(index * endBytes));
      }
      await turn();
    }
  }

  /** Loads the program with the maps and replaces those in `present`. */
  async #start(present: Map<string, number>): Promise<void> {
    const { drop4, drop6, counters, ports, allow, bans } = this.#installed();
    const descriptors = {
      drop4: drop4.descriptor,
      drop6: drop6.descriptor,
      counters: counters.descriptor,
      ports: ports?.descriptor,
      allow: allow?.descriptor,
      bans: bans.descriptor,
    };
    const { prefixes, scopes } = this.#plan;
    const program = loadXdpProgram(programName, xdpProgram(descriptors, prefixes, scopes.length));
    try {
      await this.#attach(program, present);
    } catch (error) {
      closeSync(program);
      throw error;
    }
    if (this.#program >= 0) closeSync(this.#program);
    this.#program = program;
    this.#programId = programInfo(program).id;
    this.#writeRecord();
  }

  /**
   * Attaches to every interface; if one fails, detaches again where nothing was attached before.
   */
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

  // --- Bans --------------------------------------------------------------------------------------

  #jail(name: string): PlannedJail {
    const jail = this.#plan.jails.get(name);
    if (jail === undefined) throw new UnsupportedChange(`jail ${name} is not installed`);
    return jail;
  }

  async #ban(jail: PlannedJail, address: Address, timeoutMs: number): Promise<void> {
    const end =
      timeoutMs === 0 ? 0n : native.bootNanoseconds() + BigInt(Math.ceil(timeoutMs)) * nanosecondsPerMillisecond;
    try {
      this.#put(jail, address, end);
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno !== E2BIG) throw error;
      // Expired bans may take the room.
      await this.each(() => undefined);
      this.#put(jail, address, end);
    }
  }

  #put(jail: PlannedJail, address: Address, end: bigint): void {
    const { bans } = this.#installed();
    const value = Buffer.alloc(endBytes);
    value.writeBigUInt64LE(end);
    // The program first: a ban that it does not enforce does not count.
    const isLongest = this.#raise(address, jail, end);
    let isHeld = false;
    try {
      bans.update(banKey(jail.name, address), value);
      isHeld = true;
    } finally {
      // If the ban became shorter, or found no room.
      if (!isLongest || !isHeld) this.#settle(address, jail);
    }
  }

  #unban(jail: PlannedJail, address: Address): void {
    this.#installed().bans.delete(banKey(jail.name, address));
    this.#settle(address, jail);
  }

  /**
   * Drops a source in a jail's scope until `end` at least. @returns false if it is already dropped
   * for longer
   */
  #raise(address: Address, jail: PlannedJail, end: bigint): boolean {
    const slots = this.#slots(address);
    const at = jail.scope * slotBytes;
    const slot = slotOf(end, jail.number);
    if (slots.readBigUInt64LE(at) > slot) return false;
    slots.writeBigUInt64LE(slot, at);
    this.#dropMap(address).update(dropKey(address), slots);
    return true;
  }

  /**
   * After a ban of a jail became shorter or ended: the scope now drops the source as long as the
   * longest of the remaining bans.
   */
  #settle(address: Address, { scope, number }: PlannedJail): void {
    const slots = this.#slots(address);
    const at = scope * slotBytes;
    const held = slots.readBigUInt64LE(at);
    if (held === 0n || jailOfSlot(held) !== number) return;
    const { bans } = this.#installed();
    const value = Buffer.alloc(endBytes);
    let longest = 0n;
    for (const jail of this.#plan.scopes[scope]!.jails) {
      if (!isKept(jail, address) || !bans.lookup(banKey(jail.name, address), value)) continue;
      const slot = slotOf(value.readBigUInt64LE(), jail.number);
      if (slot > longest) longest = slot;
    }
    slots.writeBigUInt64LE(longest, at);
    if (slots.every((byte) => byte === 0)) this.#dropMap(address).delete(dropKey(address));
    else if (longest !== held) this.#dropMap(address).update(dropKey(address), slots);
  }

  #dropMap({ family }: Address): BpfMap {
    const { drop4, drop6 } = this.#installed();
    return family === 4 ? drop4 : drop6;
  }

  /** Until when the program drops a source, by scope; zeros = not dropped. */
  #slots(address: Address): Buffer {
    const slots = Buffer.alloc(this.#plan.scopes.length * slotBytes);
    if (!this.#dropMap(address).lookup(dropKey(address), slots)) slots.fill(0);
    return slots;
  }

  /** Ends bans of jails that no longer exist. */
  async #dropOtherJails(): Promise<void> {
    const { bans } = this.#installed();
    for (const { keys, count } of bans.slices(xdpSliceElements)) {
      for (let index = 0; index < count; index++) {
        const key = keys.subarray(index * banKeyBytes, (index + 1) * banKeyBytes);
        const { jail, address } = readBanKey(key);
        if (!isKept(this.#plan.jails.get(jail), address)) bans.delete(key);
      }
      await turn();
    }
  }
}

// --- Plan ----------------------------------------------------------------------------------------

/** @throws UnsupportedChange if the program cannot do what the jails ask for */
function planOf(jails: JailScaffold[]): Plan {
  const answering = jails.find(({ action }) => action === 'reject');
  if (answering !== undefined) {
    throw new UnsupportedChange(`the xdp backend only drops, but jail ${answering.name} has action "reject"`);
  }
  const wide = jails.find(({ ipv4Prefix = 32 }) => ipv4Prefix < 32);
  if (wide !== undefined) throw new UnsupportedChange(`the xdp backend has no ipv4_prefix, but jail ${wide.name} has`);
  const beyond = jails.find(({ hooks }) => !hooks.includes('input'));
  if (beyond !== undefined) {
    throw new UnsupportedChange(
      `the xdp backend cannot tell packets to be forwarded from those for this host, but jail ${beyond.name} has no "input" in hooks`,
    );
  }
  const plan: Plan = {
    jails: new Map(),
    prefixes: [...new Set(jails.flatMap(({ ipv6Prefix }) => widths({ family: 6, prefix: ipv6Prefix })))].sort(
      (a, b) => b - a,
    ),
    scopes: [],
  };
  const scopes = new Map<string, number>();
  jails.forEach((jail, number) => {
    const { ports, protocols } = jail;
    const allow = jail.allow?.filter(({ family }) => family === 6) ?? [];
    const text = scopeText({ ports, protocols, allow });
    const scope = scopes.get(text) ?? scopes.size;
    scopes.set(text, scope);
    const planned = { ...jail, number, scope };
    plan.jails.set(jail.name, planned);
    plan.scopes[scope] ??= { ports, protocols, allow, jails: [] };
    plan.scopes[scope].jails.push(planned);
  });
  const bounds = [
    [new Set(jails.map(({ ipv6Prefix }) => ipv6Prefix)).size, xdpPrefixesMax, 'lengths of IPv6 prefixes'],
    [plan.scopes.length, xdpScopesMax, 'different lists of ports and allowed networks'],
  ] as const;
  for (const [count, most, what] of bounds) {
    if (count > most) throw new UnsupportedChange(`the xdp backend knows ${most} ${what} at most, not ${count}`);
  }
  return plan;
}

/** Numbers of programs begin anew with each boot. */
const recordOf = (program: number): string =>
  `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${program}\n`;

const networkText = ({ bytes, prefix }: Address) => `${Buffer.from(bytes).toString('hex')}/${prefix}`;

function scopeText({ ports, protocols, allow }: Pick<Scope, 'ports' | 'protocols' | 'allow'>): string {
  const chosen = ports.length === 0 ? [] : protocols;
  return JSON.stringify([ports.map(({ first, last }) => [first, last]), chosen, allow.map(networkText).sort()]);
}

/** A text that is equal for two plans if the same maps serve both. */
function textOf({ jails, scopes, prefixes }: Plan): string {
  return JSON.stringify([[...jails.values()].map(({ name, scope }) => [name, scope]), scopes.map(scopeText), prefixes]);
}

function forwards(): boolean {
  return forwardingFiles.some((file) => {
    try {
      return readFileSync(file, 'latin1').trim() !== '0';
    } catch {
      return false;
    }
  });
}

// --- Maps ----------------------------------------------------------------------------------------

function createMaps({ jails, scopes }: Plan, bansMax: number): Maps {
  const made: BpfMap[] = [];
  const make = (...shape: Parameters<typeof BpfMap.create>): BpfMap => {
    const map = BpfMap.create(...shape);
    made.push(map);
    return map;
  };
  const valueBytes = Math.max(1, scopes.length) * slotBytes;
  const hasPorts = scopes.some(({ ports }) => ports.length > 0);
  const allowed = allowedNetworks(scopes);
  try {
    const maps = {
      drop4: make('f2z_drop4', mapType.hash, drop4KeyBytes, valueBytes, bansMax),
      drop6: make('f2z_drop6', mapType.hash, drop6KeyBytes, valueBytes, bansMax),
      counters: make('f2z_dropped', mapType.array, 4, counterBytes, Math.max(1, jails.size)),
      ports: hasPorts ? make('f2z_ports', mapType.array, 4, scopeBitsBytes, destinations) : undefined,
      allow:
        allowed.length > 0
          ? make('f2z_allow', mapType.longestPrefix, drop6KeyBytes, scopeBitsBytes, allowed.length)
          : undefined,
    };
    maps.ports?.fill(Buffer.from(scopesByDestination(scopes).buffer));
    for (const network of allowed) maps.allow?.update(dropKey(network), denyingScopes(scopes, network));
    return maps;
  } catch (error) {
    for (const map of made) map.close();
    throw error;
  }
}

function closeMaps(maps: Maps | undefined): void {
  for (const map of Object.values(maps ?? {})) map?.close();
}

/** Each network once. */
function allowedNetworks(scopes: readonly Scope[]): Address[] {
  const all = scopes.flatMap(({ allow }) => allow.map((network): [string, Address] => [networkText(network), network]));
  return [...new Map(all).values()];
}

/**
 * The scopes that do not let a network pass. The kernel finds the longest matching network, so its
 * bits include those of the wider networks around it.
 */
function denyingScopes(scopes: readonly Scope[], network: Address): Buffer {
  const value = Buffer.alloc(scopeBitsBytes);
  let bits = 0;
  scopes.forEach(({ allow }, scope) => {
    if (!allow.some((wider) => isWithin(network, wider))) bits |= 1 << scope;
  });
  value.writeInt32LE(bits);
  return value;
}

/** The map with the bans of an earlier run. */
function adoptBans(programs: number[]): BpfMap | undefined {
  for (const program of programs) {
    let adopted: BpfMap | undefined;
    for (const id of programInfo(program).mapIds) {
      const map = BpfMap.open(id);
      const { name, keyBytes, valueBytes } = map;
      const fits = name === bansMapName && keyBytes === banKeyBytes && valueBytes === endBytes;
      if (adopted === undefined && fits) adopted = map;
      else map.close();
    }
    if (adopted !== undefined) return adopted;
  }
  return undefined;
}

// --- Addresses -----------------------------------------------------------------------------------

function isKept(jail: PlannedJail | undefined, { family, prefix }: Address): jail is PlannedJail {
  return jail !== undefined && (family === 4 || widths({ family, prefix: jail.ipv6Prefix }).includes(prefix));
}

/** An address as a jail bans it. */
function maskedFor({ name, ipv6Prefix }: PlannedJail, address: Address): Address {
  const set = { name, family: address.family, prefix: address.family === 4 ? 32 : ipv6Prefix };
  const masked = toAddress(set, toKey(set, address));
  if (address.prefix !== masked.prefix) throw new UnsupportedChange(`jail ${name} bans no /${address.prefix}`);
  return masked;
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
