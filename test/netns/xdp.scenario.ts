/**
 * The xdp backend against real packets over veth and the kernel's own view of its maps. Run by
 * xdp.test.ts, see topology.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { UnsupportedChange } from '../../src/backends/elements.ts';
import { KernelError } from '../../src/backends/kernel-error.ts';
import {
  Assembler,
  BpfError,
  BpfMap,
  loadXdpProgram,
  mapType,
  programById,
  programInfo,
} from '../../src/backends/xdp/bpf.ts';
import { Links } from '../../src/backends/xdp/link.ts';
import { XdpBackend } from '../../src/backends/xdp/xdp.ts';
import { portRangesMax } from '../../src/config/limits.ts';
import { xdpExtensionBytesMax, xdpPrefixesMax, xdpScopesMax } from '../../src/limits.ts';
import { native } from '../../src/native.ts';
import { formatAddress } from '../../src/text/address.ts';
import type { JailScaffold } from '../../src/types.ts';
import { bansOf } from '../support/bans-of.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { reconcile } from '../support/reconcile.ts';
import { until } from '../support/until.ts';
import { address, ban, hour, sshd, texts, unban, wanted } from './bans.ts';
import {
  attackerV4,
  attackerV6,
  buildTopology,
  hostV4,
  hostV6,
  insideV4,
  listen,
  listenInside,
  network,
  Prober,
} from './topology.ts';

async function installed(
  jails = [sshd],
  options: { bansMax?: number; interfaces?: string[] } = {},
): Promise<XdpBackend> {
  const backend = new XdpBackend({ interfaces: ['front0'], ...options });
  await backend.install(jails);
  return backend;
}

/**
 * What `ip` says about the program of an interface: a view of the kernel that does not use our
 * code.
 */
function programOf(name: string): { id: number; mode: string } | undefined {
  const [link] = JSON.parse(execFileSync('ip', ['-j', 'link', 'show', 'dev', name], { encoding: 'utf8' }));
  if (link.xdp === undefined) return undefined;
  return { id: link.xdp.prog.id, mode: { 1: 'native', 2: 'generic' }[link.xdp.mode as 1 | 2] };
}

/** The addresses that the attached program drops, read from its map, not through the backend. */
function droppedV4(): string[] {
  const program = programById(programOf('front0')!.id);
  const map = programInfo(program)
    .mapIds.map((id) => BpfMap.open(id))
    .find(({ name }) => name === 'f2z_drop4')!;
  const found: string[] = [];
  for (const { keys, count } of map.slices(16)) {
    for (let index = 0; index < count; index++) found.push([...keys.subarray(index * 4, index * 4 + 4)].join('.'));
  }
  return found.sort();
}

/** EtherTypes of the tags, outermost first. */
const tagTypes = [0x88a8, 0x8100, 0x8100];

/**
 * An IPv4 and an IPv6 frame behind zero, one or more VLAN tags. `needed`: bytes up to the end of
 * the IP header.
 */
function frames(source4: string, source6: string, tags?: number): { name: string; frame: Buffer; needed: number }[] {
  return (tags === undefined ? [0, 1, 2] : [tags]).flatMap((count) =>
    ([4, 6] as const).map((family) => {
      const start = 14 + 4 * count;
      const frame = Buffer.alloc(start + 80);
      const types = tagTypes.slice(0, count);
      for (const [index, type] of [...types, family === 4 ? 0x0800 : 0x86dd].entries()) {
        frame.writeUInt16BE(type, 12 + 4 * index);
      }
      frame[start] = family === 4 ? 0x45 : 0x60;
      const bytes = address(family === 4 ? source4 : source6).bytes;
      frame.set(
        family === 4 ? bytes.subarray(12) : address(source6.split('/')[0]!).bytes,
        start + (family === 4 ? 12 : 8),
      );
      return { name: `IPv${family} behind ${count} tags`, frame, needed: start + (family === 4 ? 20 : 40) };
    }),
  );
}

interface PortFrame {
  name: string;
  verdict: number;
  frame: (source4: string, source6: string) => Buffer;
}

interface Packet {
  family: 4 | 6;
  protocol: number;
  port: number;
  /** Words of IPv4 options; -1 = a header length that is too short. */
  options?: number;
  /** IPv6 extension headers before the transport: number and bytes. */
  headers?: [number: number, bytes: number][];
  /** In units of 8 bytes. Not 0: the frame is a later fragment. */
  fragmentOffset?: number;
  /** How many bytes of the transport header the frame holds. */
  transportBytes?: number;
}

/** Ethernet, IP, options or extension headers, and the beginning of a transport header. */
function frameOf(packet: Packet, source4: string, source6: string): Buffer {
  const { family, protocol, port, options = 0, headers = [], fragmentOffset = 0, transportBytes = 20 } = packet;
  const transport = Buffer.alloc(20);
  transport.writeUInt16BE(40_022, 0);
  transport.writeUInt16BE(port, 2);
  const parts: Buffer[] = [Buffer.alloc(14)];
  parts[0]!.writeUInt16BE(family === 4 ? 0x0800 : 0x86dd, 12);
  if (family === 4) {
    const header = Buffer.alloc(20 + 4 * Math.max(0, options), 1);
    header[0] = 0x45 + options;
    header.writeUInt16BE(fragmentOffset, 6);
    header[9] = protocol;
    header.set(address(source4).bytes.subarray(12), 12);
    parts.push(header);
  } else {
    const header = Buffer.alloc(40);
    header[0] = 0x60;
    const numbers = [...headers.map(([number]) => number), protocol];
    header[6] = numbers[0]!;
    header.set(address(source6).bytes, 8);
    parts.push(header);
    headers.forEach(([number, bytes], index) => {
      const each = Buffer.alloc(bytes);
      each[0] = numbers[index + 1]!;
      if (number === 44) each.writeUInt16BE(fragmentOffset << 3, 2);
      else each[1] = number === 51 ? bytes / 4 - 2 : bytes / 8 - 1;
      parts.push(each);
    });
  }
  return Buffer.concat([...parts, transport.subarray(0, transportBytes)]);
}

const portFrame = (name: string, verdict: number, packet: Packet): PortFrame => ({
  name,
  verdict,
  frame: (source4, source6) => frameOf(packet, source4, source6),
});

function tcpFrames(port: number): PortFrame[] {
  return ([4, 6] as const).map((family) => portFrame(`IPv${family}`, drop, { family, protocol: 6, port }));
}

/** Packets to ports 22 and 25 (TCP and UDP), which are banned, and to others. */
function portFrames(): PortFrame[] {
  const found: PortFrame[] = [];
  const add = (name: string, verdict: number, packet: Packet) =>
    found.push(portFrame(`IPv${packet.family} ${name}`, verdict, packet));
  for (const family of [4, 6] as const) {
    for (const [port, verdict] of [
      [22, drop],
      [25, drop],
      [21, pass],
      [23, pass],
      [26, pass],
      [0, pass],
      [65_535, pass],
    ] as const) {
      add(`TCP ${port}`, verdict, { family, protocol: 6, port });
      add(`UDP ${port}`, verdict, { family, protocol: 17, port });
    }
    add('ICMP, ICMPv6', pass, { family, protocol: family === 4 ? 1 : 58, port: 22 });
    add('ESP', pass, { family, protocol: 50, port: 22 });
    add('TCP cut before its ports end', drop, { family, protocol: 6, port: 22, transportBytes: 3 });
    add('TCP cut behind its ports', drop, { family, protocol: 6, port: 22, transportBytes: 4 });
    add('a short packet without ports', pass, { family, protocol: 89, port: 0, transportBytes: 1 });
  }
  for (const options of [1, 5, 10]) {
    add(`${options} words of options`, drop, { family: 4, protocol: 6, port: 22, options });
    add(`${options} words of options, port 80`, pass, { family: 4, protocol: 6, port: 80, options });
  }
  add('a header length that is too short', drop, { family: 4, protocol: 6, port: 80, options: -1 });
  add('later fragment', pass, { family: 4, protocol: 6, port: 22, fragmentOffset: 1 });
  add('later fragment far behind', pass, { family: 4, protocol: 6, port: 22, fragmentOffset: 0x1f00 });
  add('first fragment', drop, { family: 4, protocol: 6, port: 22, fragmentOffset: 0x2000 });
  const kinds: [number, number][] = [
    [0, 8],
    [0, xdpExtensionBytesMax],
    [43, 24],
    [60, 16],
    [135, 8],
    [139, 40],
    [140, 8],
    [51, 24],
    [44, 8],
  ];
  for (const kind of kinds) {
    add(`header ${kind}`, drop, { family: 6, protocol: 6, port: 22, headers: [kind] });
    add(`header ${kind}, port 80`, pass, { family: 6, protocol: 17, port: 80, headers: [kind] });
    add(`header ${kind}, ICMPv6`, pass, { family: 6, protocol: 58, port: 22, headers: [kind] });
    add(`header ${kind}, then nothing`, drop, { family: 6, protocol: 6, port: 80, headers: [kind], transportBytes: 0 });
  }
  const most = Array.from({ length: xdpExtensionBytesMax / 8 }, (): [number, number] => [60, 8]);
  add('as many headers as are read', drop, { family: 6, protocol: 6, port: 22, headers: most });
  add('as many headers as are read, port 80', pass, { family: 6, protocol: 6, port: 80, headers: most });
  const unread: [number, number][][] = [[...most, [60, 8]], [[0, xdpExtensionBytesMax + 8]], [[0, 2048]], [[51, 12]]];
  for (const headers of unread) {
    for (const protocol of [6, 58]) add(`unread ${headers.at(-1)}`, drop, { family: 6, protocol, port: 80, headers });
  }
  add('later fragment', pass, { family: 6, protocol: 6, port: 22, headers: [[44, 8]], fragmentOffset: 1 });
  add('later fragment behind a header', pass, {
    family: 6,
    protocol: 6,
    port: 22,
    headers: [
      [0, 8],
      [44, 8],
    ],
    fragmentOffset: 185,
  });
  add('cut inside a header', drop, { family: 6, protocol: 60, port: 80, transportBytes: 7 });
  return found;
}

/** What bpftool says. It is installed by scripts/setup.mjs --tools. */
function bpftool(...words: string[]): unknown {
  return JSON.parse(execFileSync('bpftool', ['-j', ...words], { encoding: 'utf8' }));
}

/** XDP_DROP and XDP_PASS. */
const [drop, pass] = [1, 2];

/** The verdict of a loaded program over one frame (BPF_PROG_TEST_RUN). */
function run(program: number, frame: Buffer): number {
  const attributes = Buffer.alloc(80);
  attributes.writeUInt32LE(program, 0);
  attributes.writeUInt32LE(frame.length, 8);
  attributes.writeUInt32LE(1, 32);
  const result = native.bpf(10, attributes, 16, Buffer.from(frame));
  assert.ok(result >= 0, `test run: ${result}`);
  return attributes.readUInt32LE(4);
}

async function refused(work: Promise<unknown> | (() => unknown)): Promise<Error> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    return error as Error;
  }
  return assert.fail('it was accepted');
}

export const scenarios: Record<string, Scenario> = {
  'drops a banned IPv4 source, answers its neighbour, and again after the unban': async () => {
    const prober = await network(2222);
    const backend = await installed();
    assert.equal(programOf('front0')?.mode, 'native');
    await prober.answered(attackerV4[0], hostV4, 2222);
    await backend.apply([ban(attackerV4[0])]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    assert.ok((await backend.drops()).get('sshd')! > 0, 'the program counted the packet it dropped');
    await prober.answered(attackerV4[1], hostV4, 2222);
    await backend.apply([unban(attackerV4[0]), unban('203.0.113.7')]);
    await prober.answered(attackerV4[0], hostV4, 2222);
  },

  'drops a whole banned /64 and answers the next one; /128 drops one alone': async () => {
    const prober = await network(2222);
    const backend = await installed([sshd, { ...sshd, name: 'single', ipv6Prefix: 128 }]);
    await backend.apply([ban(attackerV6[0])]);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.dropped(attackerV6[1], hostV6, 2222);
    assert.ok((await backend.drops()).get('sshd')! >= 2);
    await prober.answered(attackerV6[2], hostV6, 2222);
    await backend.apply([unban(attackerV6[0]), ban(`${attackerV6[0]}/128`, hour, 'single')]);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.answered(attackerV6[1], hostV6, 2222);
  },

  'frames of every kind, cut at every length': async () => {
    buildTopology();
    const backend = await installed();
    await backend.apply([ban('203.0.113.10'), ban('2001:db8:5::1')]);
    const program = programById(programOf('front0')!.id);
    for (const { name, frame, needed } of frames('203.0.113.10', '2001:db8:5::77')) {
      for (let length = 14; length <= frame.length; length++) {
        const expected = length >= needed ? drop : pass;
        assert.equal(run(program, frame.subarray(0, length)), expected, `${name}, ${length} bytes`);
      }
    }
    for (const { name, frame } of frames('203.0.113.11', '2001:db8:6::77'))
      assert.equal(run(program, frame), pass, name);
    for (const { name, frame } of frames('203.0.113.10', '2001:db8:5::77', 3))
      assert.equal(run(program, frame), pass, name);
    const arp = Buffer.alloc(60);
    arp.writeUInt16BE(0x0806, 12);
    assert.equal(run(program, arp), pass);
  },

  'drops only the ports and protocols of the jail, IPv4 and IPv6, until the ban ends': async () => {
    const prober = await network(2222);
    await listen(8080);
    const ssh: JailScaffold = { ...sshd, ports: [{ first: 2200, last: 2300 }], protocols: ['tcp'] };
    const udp: JailScaffold = { ...ssh, name: 'udp', protocols: ['udp'] };
    const web: JailScaffold = { ...ssh, name: 'web', ports: [80, 8080].map((port) => ({ first: port, last: port })) };
    const backend = await installed([ssh, udp, web]);
    await backend.apply([ban(attackerV4[0]), ban(attackerV6[0]), ban(attackerV4[1], hour, 'udp')]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await prober.answered(attackerV4[0], hostV4, 8080);
    await prober.answered(attackerV4[1], hostV4, 2222);
    await prober.answered(attackerV4[2], hostV4, 2222);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.dropped(attackerV6[1], hostV6, 2222);
    await prober.answered(attackerV6[1], hostV6, 8080);
    await prober.answered(attackerV6[2], hostV6, 2222);
    // A ban of the same source by a second jail: each ban ends by itself.
    await backend.apply([ban(attackerV4[0], 1500, 'web')]);
    await prober.dropped(attackerV4[0], hostV4, 8080);
    assert.ok((await backend.drops()).get('web')! > 0, 'counted for the jail whose ban it was');
    await until(() => prober.answered(attackerV4[0], hostV4, 8080).then(() => true), { what: 'the end of the ban' });
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await backend.apply([unban(attackerV4[0])]);
    await prober.answered(attackerV4[0], hostV4, 2222);
    assert.deepEqual(texts(await bansOf(backend)), ['192.0.2.11', '2001:db8:0:1::/64']);
  },

  'finds the ports behind options, extension headers and fragments': async () => {
    buildTopology();
    const jail: JailScaffold = {
      ...sshd,
      ports: [22, 25].map((port) => ({ first: port, last: port })),
      protocols: ['tcp', 'udp'],
    };
    const everything: JailScaffold = { ...sshd, name: 'everything' };
    const backend = await installed([jail, everything]);
    await backend.apply([ban('203.0.113.10'), ban('2001:db8:5::1')]);
    await backend.apply([ban('203.0.113.20', hour, 'everything'), ban('2001:db8:6::1', hour, 'everything')]);
    const program = programById(programOf('front0')!.id);
    for (const { name, frame, verdict } of portFrames()) {
      assert.equal(run(program, frame('203.0.113.10', '2001:db8:5::77')), verdict, name);
      assert.equal(run(program, frame('203.0.113.20', '2001:db8:6::77')), drop, `${name}, banned on all ports`);
      assert.equal(run(program, frame('203.0.113.30', '2001:db8:7::77')), pass, `${name}, not banned`);
    }
    assert.equal((await backend.drops()).get('everything'), portFrames().length);
  },

  'lets allowed networks pass though a ban covers them, in that jail only': async () => {
    const prober = await network(2222);
    const guarded: JailScaffold = {
      ...sshd,
      name: 'guarded',
      allow: ['2001:db8:0:1::11', '2001:db8::/47'].map(address),
    };
    const within: JailScaffold = { ...sshd, name: 'within', allow: [address('2001:db8:0:1::10/127')] };
    const backend = await installed([sshd, guarded, within]);
    await backend.apply([ban(attackerV6[0], hour, 'within')]);
    await prober.answered(attackerV6[0], hostV6, 2222);
    await prober.answered(attackerV6[1], hostV6, 2222);
    await backend.apply([unban(attackerV6[0], 'within'), ban('2001:db8:0:1::99', hour, 'guarded')]);
    // The wider network holds where a narrower one of another jail is the first that the kernel
    // finds.
    await prober.answered(attackerV6[0], hostV6, 2222);
    await prober.answered(attackerV6[1], hostV6, 2222);
    await backend.apply([ban(attackerV6[0])]);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.dropped(attackerV6[1], hostV6, 2222);
  },

  'holds as many different jails as it says, and refuses more': async () => {
    buildTopology();
    const ports = (count: number, from: number) =>
      Array.from({ length: count }, (_, index) => ({ first: from + index * 2, last: from + index * 2 }));
    const jails = Array.from(
      { length: xdpScopesMax },
      (_, index): JailScaffold => ({
        ...sshd,
        name: `jail${index}`,
        ipv6Prefix: 64 - (index % xdpPrefixesMax),
        ports: ports(portRangesMax, 1000 + 200 * index),
        protocols: ['tcp'],
        allow: [address('2001:db8:9::/48')],
      }),
    );
    const backend = await installed(jails);
    const last = jails.at(-1)!;
    await backend.apply([ban('203.0.113.10', hour, last.name)]);
    const program = programById(programOf('front0')!.id);
    const [{ frame }] = [tcpFrames(last.ports.at(-1)!.first)[0]!];
    assert.equal(run(program, frame('203.0.113.10', '2001:db8:5::77')), drop);
    backend.close();
    for (const [more, what] of [
      [{ ...sshd, name: 'more' }, /different lists of ports/],
      [{ ...last, ipv6Prefix: 33 }, /lengths of IPv6 prefixes/],
    ] as const) {
      const error = await refused(installed([...jails.slice(more.name === 'more' ? 0 : 1), more]));
      assert.ok(error instanceof UnsupportedChange && what.test(error.message), error.message);
    }
  },

  'bpftool sees the program, its interface and the bans that we list': async () => {
    buildTopology();
    const ssh: JailScaffold = { ...sshd, ports: [{ first: 22, last: 22 }], protocols: ['tcp'] };
    const backend = await installed([ssh, { ...sshd, name: 'everything' }]);
    await backend.apply([
      ban('203.0.113.10'),
      ban('203.0.113.11'),
      ban('2001:db8:5::1'),
      ban('203.0.113.12', 0, 'everything'),
    ]);
    await backend.apply([unban('203.0.113.11')]);
    const { id } = programOf('front0')!;
    const [{ xdp }] = bpftool('net', 'show') as [{ xdp: { devname: string; id?: number }[] }];
    assert.ok(
      xdp.some(({ devname }) => devname === 'front0'),
      JSON.stringify(xdp),
    );
    const [program] = [bpftool('prog', 'show', 'id', String(id)) as { name: string; type: string; map_ids: number[] }];
    assert.equal(program.name, 'fail2zig');
    assert.equal(program.type, 'xdp');
    const maps = program.map_ids.map(
      (map) => bpftool('map', 'show', 'id', String(map)) as { id: number; name: string },
    );
    const elements = (name: string) =>
      (bpftool('map', 'dump', 'id', String(maps.find((map) => map.name === name)!.id)) as { key: string[] }[]).map(
        ({ key }) => Buffer.from(key.map((byte) => Number(byte))),
      );
    const seen4 = elements('f2z_drop4').map((key) => [...key].join('.'));
    const seen6 = elements('f2z_drop6').map((key) => {
      const bytes = Uint8Array.from(key.subarray(4));
      return formatAddress({ family: 6, bytes, prefix: key.readUInt32LE(0) });
    });
    assert.deepEqual([...seen4, ...seen6].sort(), texts(await bansOf(backend)));
    assert.equal(elements('f2z_bans').length, 3);
  },

  'neighbour discovery passes, no other ICMPv6 message, nor one behind a header': async () => {
    buildTopology();
    const backend = await installed();
    await backend.apply([ban('203.0.113.10'), ban('2001:db8:5::1')]);
    const program = programById(programOf('front0')!.id);
    for (let type = 0; type < 256; type++) {
      const isDiscovery = type >= 133 && type <= 137;
      const frame = frameOf({ family: 6, protocol: 58, port: 0 }, '203.0.113.10', '2001:db8:5::77');
      frame[14 + 40] = type;
      assert.equal(run(program, frame), isDiscovery ? pass : drop, `type ${type}`);
      assert.equal(run(program, frame.subarray(0, 14 + 40)), drop, 'cut before its type');
      const four = frameOf({ family: 4, protocol: 58, port: 0 }, '203.0.113.10', '2001:db8:5::77');
      four[14 + 20] = type;
      assert.equal(run(program, four), drop, `IPv4 with protocol 58, type ${type}`);
    }
    const behind = frameOf({ family: 6, protocol: 58, port: 0, headers: [[60, 8]] }, '203.0.113.10', '2001:db8:5::77');
    behind[14 + 48] = 135;
    assert.equal(run(program, behind), drop, 'behind an extension header');
  },

  'says that forwarded packets are dropped, where a jail did not ask for it': async () => {
    buildTopology();
    await listenInside(8080);
    const prober = new Prober();
    const both: JailScaffold = { ...sshd, name: 'both', hooks: ['input', 'forward'] };
    const backend = await installed([sshd, both]);
    assert.equal(backend.notes.length, 1);
    assert.match(backend.notes[0]!, /forwards packets.* no "forward" in sshd$/);
    await prober.answered(attackerV4[0], insideV4, 8080);
    await backend.apply([ban(attackerV4[0], hour, 'both')]);
    await prober.dropped(attackerV4[0], insideV4, 8080);
    backend.close();
    assert.deepEqual((await installed([both])).notes, []);
    execFileSync('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=0']);
    assert.deepEqual((await installed([sshd])).notes, [], 'this host forwards nothing');
  },

  'lets a source pass again when its ban has run out, and forgets it': async () => {
    const prober = await network(2222);
    const backend = await installed();
    await backend.apply([ban(attackerV4[0], 1500), ban(attackerV4[1]), ban(attackerV4[2], 0)]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    // Nobody removes anything meanwhile: the program itself ends the ban.
    await until(() => prober.answered(attackerV4[0], hostV4, 2222).then(() => true), { what: 'the end of the ban' });
    assert.equal(droppedV4().length, 3);
    assert.deepEqual(texts(await bansOf(backend)), [attackerV4[1], attackerV4[2]].sort());
    assert.deepEqual(droppedV4(), [attackerV4[1], attackerV4[2]].sort());
    assert.equal((await bansOf(backend)).find(({ timeoutMs }) => timeoutMs === 0)?.address.bytes[15], 12);
    await prober.dropped(attackerV4[1], hostV4, 2222);
  },

  'two jails ban one source: it is dropped until the later one ends': async () => {
    const prober = await network(2222);
    const backend = await installed([sshd, { ...sshd, name: 'web' }]);
    await backend.apply([ban(attackerV4[0], hour), ban(attackerV4[0], 2 * hour, 'web')]);
    assert.equal((await bansOf(backend)).length, 2);
    await backend.apply([unban(attackerV4[0], 'web')]);
    assert.equal((await bansOf(backend)).length, 1);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    // A shorter ban of the other jail does not shorten this one.
    await backend.apply([ban(attackerV4[0], 500, 'web')]);
    await until(async () => (await bansOf(backend)).length === 1, { what: 'the end of the shorter ban' });
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await backend.apply([unban(attackerV4[0])]);
    await prober.answered(attackerV4[0], hostV4, 2222);
    assert.deepEqual(droppedV4(), []);
  },

  'a new start takes over program and bans without a gap, and leaves others alone': async () => {
    const prober = await network(2222);
    const first = await installed();
    await first.apply([ban(attackerV4[0]), ban(attackerV4[1])]);
    const before = programOf('front0')!.id;
    first.close();
    await prober.dropped(attackerV4[0], hostV4, 2222);
    const second = await installed([sshd, { ...sshd, name: 'more' }]);
    assert.notEqual(programOf('front0')!.id, before);
    assert.deepEqual(texts(await bansOf(second)), [attackerV4[0], attackerV4[1]].sort());
    await prober.dropped(attackerV4[0], hostV4, 2222);
    second.close();
    // With another list of ports the bans stay, each for the ports that its jail has now.
    const elsewhere = await installed([{ ...sshd, ports: [{ first: 8080, last: 8080 }], protocols: ['tcp'] }]);
    assert.deepEqual(texts(await bansOf(elsewhere)), [attackerV4[0], attackerV4[1]].sort());
    await prober.answered(attackerV4[0], hostV4, 2222);
    elsewhere.close();
    // The bans of a removed jail are removed with it.
    const third = await installed([{ ...sshd, name: 'other' }]);
    assert.deepEqual(await bansOf(third), []);
    await prober.answered(attackerV4[0], hostV4, 2222);
    await third.remove();
    assert.equal(programOf('front0'), undefined);
  },

  'a later process takes off what an earlier one attached, in driver and stack, and nothing of others': async () => {
    await network(2222);
    const interfaces = ['front0', 'lo'];
    const first = await installed([sshd], { interfaces });
    first.close();
    assert.deepEqual(
      interfaces.map((name) => programOf(name)?.mode),
      ['native', 'generic'],
    );
    const later = new XdpBackend({ interfaces });
    await later.remove();
    later.close();
    for (const name of interfaces) assert.equal(programOf(name), undefined, name);
    const foreign = loadXdpProgram('foreign', new Assembler().set(0, 2).exit().finish());
    const links = new Links();
    await links.attach('front0', foreign);
    links.close();
    const another = new XdpBackend({ interfaces });
    await another.remove();
    another.close();
    assert.notEqual(programOf('front0'), undefined, "another's program is gone");
  },

  'a confined daemon starts again over the program that it attached, after a stop and after a kill': async () => {
    const prober = await network(2222);
    const home = mkdtempSync('/run/xdp-');
    const log = `${home}/auth.log`;
    writeFileSync(log, '');
    const settings = `[firewall]\nbackend = "xdp"\ninterfaces = ["front0", "lo"]\n[metrics]\nenabled = false\n[state]\npath = "${home}/state/state"\n[jails.sshd]\nlogpath = "${log}"\nport = "2222"\nmaxretry = 1\n`;
    let daemon = await Daemon.start(home, settings);
    const [banned, free] = attackerV4;
    const isDropped = () =>
      until(
        () =>
          prober.dropped(banned, hostV4, 2222).then(
            () => true,
            () => false,
          ),
        { what: 'the ban' },
      );
    appendFileSync(
      log,
      `${new Date().toISOString()} host sshd[7]: Failed password for root from ${banned} port 4 ssh2\n`,
    );
    await isDropped();
    for (const end of [() => daemon.stop(), () => daemon.kill()]) {
      const before = programOf('front0')!.id;
      await end();
      await prober.dropped(banned, hostV4, 2222);
      daemon = await Daemon.start(home, settings);
      assert.notEqual(programOf('front0')!.id, before);
      await isDropped();
      await prober.answered(free, hostV4, 2222);
    }
    await daemon.stop();
    // What the record does not name belongs to somebody else.
    for (const record of ['0 1\n', `x${readFileSync(`${home}/state/state.xdp`, 'latin1')}`]) {
      writeFileSync(`${home}/state/state.xdp`, record);
      assert.match((await refused(Daemon.start(home, settings))).message, /EBUSY/);
    }
  },

  'a confined daemon without a state file knows its program at a reload, and keeps its bans': async () => {
    const prober = await network(2222);
    const home = mkdtempSync('/run/xdp-');
    const [banned, free] = attackerV4;
    writeFileSync(`${home}/auth.log`, '');
    const settings = `[firewall]\nbackend = "xdp"\ninterfaces = ["front0", "lo"]\n[metrics]\nenabled = false\n[state]\nenabled = false\n[jails.sshd]\nlogpath = "${home}/auth.log"\nport = "2222"\n`;
    const daemon = await Daemon.start(home, settings);
    await daemon.ban('sshd', banned, 600);
    await prober.dropped(banned, hostV4, 2222);
    const before = programOf('front0')!.id;
    const path = `${home}/fail2zig.toml`;
    writeFileSync(path, readFileSync(path, 'utf8').replace('"2222"', '"2222,2223"'));
    execFileSync(join(import.meta.dirname, '../../bin/fail2zig-client'), [
      '--socket',
      daemon.socket,
      'reload',
      '--config',
      path,
    ]);
    assert.notEqual(programOf('front0')!.id, before);
    await prober.dropped(banned, hostV4, 2222);
    await prober.answered(free, hostV4, 2222);
    await daemon.stop();
  },

  'repairs what others did': async () => {
    const prober = await network(2222);
    const backend = await installed();
    const bans = [wanted(attackerV4[0]), wanted(attackerV6[0])];
    await backend.apply(bans.map((each) => ({ verb: 'ban', ban: each })));
    assert.equal(await reconcile(backend, [sshd], bans), 0);
    execFileSync('ip', ['link', 'set', 'dev', 'front0', 'xdp', 'off']);
    await prober.answered(attackerV4[0], hostV4, 2222);
    assert.equal(await reconcile(backend, [sshd], bans), 1);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    assert.equal(await reconcile(backend, [sshd], [bans[1]!]), 1, 'one too many');
    await prober.answered(attackerV4[0], hostV4, 2222);
  },

  'errors are typed: EBUSY, ENODEV, E2BIG, and what it does not do': async () => {
    buildTopology();
    const other = loadXdpProgram('other', new Assembler().set(0, 2).exit().finish());
    const links = new Links();
    await links.attach('front0', other);
    const busy = await refused(installed([sshd], { interfaces: ['back0', 'front0'] }));
    assert.ok(busy instanceof KernelError, `${busy}`);
    assert.equal(busy.code, 'EBUSY');
    assert.match(busy.message, /attach program to interface front0/);
    assert.equal(programOf('back0'), undefined, 'all interfaces or none');
    const absent = await refused(installed([sshd], { interfaces: ['nowhere0'] }));
    assert.equal((absent as KernelError).code, 'ENODEV', absent.message);
    const none = await refused(installed([sshd], { interfaces: [] }));
    assert.match(none.message, /firewall.interfaces/);
    const forward = await refused(installed([{ ...sshd, hooks: ['forward'] }]));
    assert.ok(forward instanceof UnsupportedChange && /forwarded/.test(forward.message), forward.message);
    const reject = await refused(installed([{ ...sshd, action: 'reject' }]));
    assert.match(reject.message, /only drops/);

    const backend = await installed([sshd], { interfaces: ['back0'], bansMax: 2 });
    await backend.apply([ban('203.0.113.1', 50), ban('203.0.113.2')]);
    await until(async () => (await refused(backend.apply([ban('203.0.113.3'), ban('203.0.113.4')]))).message, {
      what: 'E2BIG',
    });
    const full = await refused(backend.apply([ban('203.0.113.4')]));
    assert.ok(full instanceof BpfError && full.code === 'E2BIG', full.message);
    await until(async () => texts(await bansOf(backend)).length === 2, { what: 'room after the end of a ban' });
    assert.ok(!texts(await bansOf(backend)).includes('203.0.113.4'), 'what found no room is not believed');
  },

  'the verifier is heard, and wrong sizes never reach the kernel': async () => {
    const noExit = await refused(() => loadXdpProgram('bad', new Assembler().set(0, 2).finish()));
    assert.ok(noExit instanceof BpfError && noExit.code === 'EINVAL', noExit.message);
    assert.notEqual(noExit.verifierLog, '');
    const map = BpfMap.create('small', mapType.hash, 4, 8, 8);
    assert.throws(() => map.update(Buffer.alloc(4), Buffer.alloc(4)), RangeError);
    assert.equal(map.lookup(Buffer.alloc(4), Buffer.alloc(8)), false);
    map.delete(Buffer.alloc(4));
    assert.throws(() => new Assembler().jump('nowhere').finish(), /no label nowhere/);
  },

  'EPERM without capabilities': async () => {
    buildTopology();
    const drop = ['--bounding-set=-all', '--inh-caps=-all', process.execPath, import.meta.filename];
    const code = JSON.parse(execFileSync('setpriv', [...drop, '(without capability)'], { encoding: 'utf8' }));
    assert.equal(code, 'EPERM');
  },
};

async function withoutCapability(): Promise<unknown> {
  const error = await refused(installed());
  assert.match(error.message, /CAP_BPF/);
  return (error as BpfError).code;
}

await answerScenario(import.meta.filename, { ...scenarios, '(without capability)': withoutCapability });
