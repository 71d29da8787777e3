/** The xdp backend against real packets over veth and the kernel's own view of its maps. Run by xdp.test.ts, see topology.ts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  Assembler,
  BpfError,
  BpfMap,
  loadXdpProgram,
  mapType,
  programById,
  programInfo,
} from '../../src/backends/bpf.ts';
import { UnsupportedChange } from '../../src/backends/elements.ts';
import { Links } from '../../src/backends/link.ts';
import { NetlinkError } from '../../src/backends/netlink.ts';
import { XdpBackend } from '../../src/backends/xdp.ts';
import { formatAddress, parseCidr } from '../../src/config/address.ts';
import { native } from '../../src/native.ts';
import type { Address, Ban, Change, JailScaffold } from '../../src/types.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { reconcile } from '../support/reconcile.ts';
import { until } from '../support/until.ts';
import { attackerV4, attackerV6, buildTopology, hostV4, hostV6, listen, Prober } from './topology.ts';

const hour = 3_600_000;
const sshd: JailScaffold = { name: 'sshd', ipv6Prefix: 64, ports: [], protocols: [], hooks: ['input'] };

function address(text: string): Address {
  const parsed = parseCidr(text, 'clear');
  if (typeof parsed === 'string') throw new Error(`${text}: ${parsed}`);
  return parsed;
}

const wanted = (text: string, timeoutMs = hour, jail = 'sshd'): Ban => ({ jail, address: address(text), timeoutMs });
const ban = (text: string, timeoutMs = hour, jail = 'sshd'): Change => ({
  verb: 'ban',
  ban: wanted(text, timeoutMs, jail),
});
const unban = (text: string, jail = 'sshd'): Change => ({ verb: 'unban', jail, address: address(text) });
const texts = (bans: Ban[]) => bans.map((each) => formatAddress(each.address)).sort();

async function installed(
  jails = [sshd],
  options: { bansMax?: number; interfaces?: string[] } = {},
): Promise<XdpBackend> {
  const backend = new XdpBackend({ interfaces: ['front0'], ...options });
  await backend.install(jails);
  return backend;
}

async function network(): Promise<Prober> {
  buildTopology();
  await listen(2222);
  const prober = new Prober();
  for (const from of attackerV4) await prober.answered(from, hostV4, 2222);
  for (const from of attackerV6) await prober.answered(from, hostV6, 2222);
  return prober;
}

/** What `ip` says about the program of an interface: other eyes than ours. */
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

/** An IPv4 and an IPv6 frame behind none, one, … VLAN tags; `needed`: bytes up to the end of the IP header. */
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
    const prober = await network();
    const backend = await installed();
    assert.deepEqual(programOf('front0')?.mode, backend.attached[0]!.mode);
    await prober.answered(attackerV4[0], hostV4, 2222);
    await backend.apply([ban(attackerV4[0])]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    assert.ok(backend.dropped(4) > 0, 'the program counted the packet it dropped');
    assert.equal(backend.dropped(6), 0);
    await prober.answered(attackerV4[1], hostV4, 2222);
    await backend.apply([unban(attackerV4[0]), unban('203.0.113.7')]);
    await prober.answered(attackerV4[0], hostV4, 2222);
  },

  'drops a whole banned /64 and answers the next one; /128 drops one alone': async () => {
    const prober = await network();
    const backend = await installed([sshd, { ...sshd, name: 'single', ipv6Prefix: 128 }]);
    await backend.apply([ban(attackerV6[0])]);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.dropped(attackerV6[1], hostV6, 2222);
    assert.ok(backend.dropped(6) >= 2);
    await prober.answered(attackerV6[2], hostV6, 2222);
    await backend.apply([unban(attackerV6[0]), ban(attackerV6[0], hour, 'single')]);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.answered(attackerV6[1], hostV6, 2222);
  },

  'frames of every kind, cut at every length': async () => {
    buildTopology();
    const backend = await installed();
    await backend.apply([ban('203.0.113.10'), ban('2001:db8:5::1')]);
    const program = programById(programOf('front0')!.id);
    const [drop, pass] = [1, 2];
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

  'lets a source pass again when its ban has run out, and forgets it': async () => {
    const prober = await network();
    const backend = await installed();
    await backend.apply([ban(attackerV4[0], 1500), ban(attackerV4[1]), ban(attackerV4[2], 0)]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    // Nobody removes anything meanwhile: the program itself ends the ban.
    await until(() => prober.answered(attackerV4[0], hostV4, 2222).then(() => true), { what: 'the end of the ban' });
    assert.equal(droppedV4().length, 3);
    assert.deepEqual(texts(await backend.list()), [attackerV4[1], attackerV4[2]].sort());
    assert.deepEqual(droppedV4(), [attackerV4[1], attackerV4[2]].sort());
    assert.equal((await backend.list()).find(({ timeoutMs }) => timeoutMs === 0)?.address.bytes[15], 12);
    await prober.dropped(attackerV4[1], hostV4, 2222);
  },

  'two jails ban one source: it is dropped until the later one ends': async () => {
    const prober = await network();
    const backend = await installed([sshd, { ...sshd, name: 'web' }]);
    await backend.apply([ban(attackerV4[0], hour), ban(attackerV4[0], 2 * hour, 'web')]);
    assert.equal((await backend.list()).length, 2);
    await backend.apply([unban(attackerV4[0], 'web')]);
    assert.equal((await backend.list()).length, 1);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await backend.apply([unban(attackerV4[0])]);
    await prober.answered(attackerV4[0], hostV4, 2222);
    assert.deepEqual(droppedV4(), []);
  },

  'a new start takes over program and bans without a gap, and leaves others alone': async () => {
    const prober = await network();
    const first = await installed();
    await first.apply([ban(attackerV4[0]), ban(attackerV4[1])]);
    const before = programOf('front0')!.id;
    first.close();
    await prober.dropped(attackerV4[0], hostV4, 2222);
    const second = await installed([sshd, { ...sshd, name: 'more' }]);
    assert.notEqual(programOf('front0')!.id, before);
    assert.deepEqual(texts(await second.list()), [attackerV4[0], attackerV4[1]].sort());
    await prober.dropped(attackerV4[0], hostV4, 2222);
    second.close();
    // A jail that is gone takes its bans with it.
    const third = await installed([{ ...sshd, name: 'other' }]);
    assert.deepEqual(await third.list(), []);
    await prober.answered(attackerV4[0], hostV4, 2222);
    await third.remove();
    assert.equal(programOf('front0'), undefined);
  },

  'repairs what others did': async () => {
    const prober = await network();
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
    assert.ok(busy instanceof NetlinkError, `${busy}`);
    assert.equal(busy.code, 'EBUSY');
    assert.match(busy.message, /attach program to interface front0/);
    assert.equal(programOf('back0'), undefined, 'all interfaces or none');
    const absent = await refused(installed([sshd], { interfaces: ['nowhere0'] }));
    assert.equal((absent as NetlinkError).code, 'ENODEV', absent.message);
    const none = await refused(installed([sshd], { interfaces: [] }));
    assert.match(none.message, /firewall.interfaces/);
    const ports = await refused(installed([{ ...sshd, ports: [{ first: 22, last: 22 }], protocols: ['tcp'] }]));
    assert.ok(ports instanceof UnsupportedChange);
    const reject = await refused(installed([{ ...sshd, action: 'reject' }]));
    assert.match(reject.message, /only drops/);

    const guarded = { ...sshd, name: 'guarded', allow: [address('2001:db8:7::5')] };
    const careful = await installed([guarded], { interfaces: ['back0'] });
    await careful.apply([ban('2001:db8:8::1', hour, 'guarded')]);
    const covers = await refused(careful.apply([ban('2001:db8:7::1', hour, 'guarded')]));
    assert.ok(covers instanceof UnsupportedChange && /allowed network/.test(covers.message), covers.message);
    await careful.remove();

    const backend = await installed([sshd], { interfaces: ['back0'], bansMax: 2 });
    await backend.apply([ban('203.0.113.1', 50), ban('203.0.113.2')]);
    await until(async () => (await refused(backend.apply([ban('203.0.113.3'), ban('203.0.113.4')]))).message, {
      what: 'E2BIG',
    });
    const full = await refused(backend.apply([ban('203.0.113.4')]));
    assert.ok(full instanceof BpfError && full.code === 'E2BIG', full.message);
    await until(async () => texts(await backend.list()).length === 2, { what: 'room after the end of a ban' });
    assert.ok(!texts(await backend.list()).includes('203.0.113.4'), 'what found no room is not believed');
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
