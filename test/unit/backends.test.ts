/**
 * Choosing a backend, the dry run, names of kernel objects, and nftables over a socket that loses
 * answers.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BackendRow, chooseBackend, NoBackendError } from '../../src/backends/choose.ts';
import { KernelError } from '../../src/backends/kernel-error.ts';
import { LogOnlyBackend } from '../../src/backends/log-only.ts';
import { kernelName } from '../../src/backends/names.ts';
import { MessageWriter } from '../../src/backends/netlink/message.ts';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import { kernelNameMax, logOnlyBansMax } from '../../src/limits.ts';
import { parseCidr } from '../../src/text/address.ts';
import type { Address, Backend, Change, JailScaffold } from '../../src/types.ts';
import { bansOf } from '../support/bans-of.ts';
import { acknowledgement, askedSequences, message, recordedTransport } from '../support/recorded-transport.ts';

const jail: JailScaffold = { name: 'sshd', ipv6Prefix: 64, ports: [], protocols: [], hooks: ['input'] };

function address(text: string): Address {
  const parsed = parseCidr(text, 'clear');
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

const ban = (text: string, timeoutMs = 60_000): Change => ({
  verb: 'ban',
  ban: { jail: 'sshd', address: address(text), timeoutMs },
});

import { reconcile } from '../support/reconcile.ts';

describe('choosing a backend', () => {
  const firewall = { backend: 'auto' as const, table: 'fail2zig', allowLogOnly: false, interfaces: [] };
  const working = (name: BackendRow['name']): BackendRow => ({
    name,
    auto: ({ allowLogOnly }) => name !== 'log-only' || allowLogOnly,
    load: async () => Object.assign(new LogOnlyBackend(() => undefined), { name }) as Backend,
  });
  const closed: string[] = [];
  const failing = (name: BackendRow['name'], errno: number): BackendRow => ({
    name,
    auto: () => true,
    load: async () =>
      ({
        ...(Object.create(null) as Backend),
        install: async () => {
          throw new KernelError(errno, `install ${name}`);
        },
        close: () => closed.push(name),
      }) as Backend,
  });

  test('auto uses the first that can be installed, and reports the errors of the others', async () => {
    const rows = [failing('nftables', constants.errno.EPROTONOSUPPORT), working('ipset'), working('log-only')];
    const { backend, attempts } = await chooseBackend(firewall, [jail], () => undefined, rows);
    expect(backend.name).toBe('ipset');
    expect(attempts.map(({ backend: name, error }) => `${name}: ${error.message}`)).toEqual([
      'nftables: install nftables: EPROTONOSUPPORT',
    ]);
    expect(closed).toContain('nftables');
  });

  test('auto does not choose log-only unless it is allowed', async () => {
    const rows = [failing('nftables', constants.errno.EPERM), working('log-only')];
    const refusal = await chooseBackend(firewall, [jail], () => undefined, rows).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(NoBackendError);
    expect((refusal as Error).message).toBe(
      'no usable firewall backend (nftables: install nftables: EPERM). Run as root or with CAP_NET_ADMIN, or allow log-only.',
    );
    const allowed = await chooseBackend({ ...firewall, allowLogOnly: true }, [jail], () => undefined, rows);
    expect(allowed.backend.name).toBe('log-only');
    const named = await chooseBackend({ ...firewall, backend: 'log-only' }, [jail], () => undefined, rows);
    expect(named.backend.name).toBe('log-only');
  });

  test('a named backend is tried alone', async () => {
    const rows = [working('nftables'), failing('ipset', constants.errno.ENOENT), working('log-only')];
    const wants = { ...firewall, backend: 'ipset' as const, allowLogOnly: true };
    await expect(chooseBackend(wants, [jail], () => undefined, rows)).rejects.toThrow(/ipset: install ipset: ENOENT/);
    await expect(chooseBackend({ ...wants, backend: 'xdp' }, [jail], () => undefined, rows)).rejects.toThrow(
      /xdp: this build has no such backend/,
    );
  });
});

test('the core holds no backend: it loads the bundle of the one that is tried', () => {
  const text = (name: string) => readFileSync(join(import.meta.dirname, `../../dist/${name}.cjs`), 'utf8');
  for (const [name, made] of [
    ['nftables', 'NftablesBackend'],
    ['iptables', 'IptablesBackend'],
    ['ipset', 'IpsetBackend'],
    ['xdp', 'XdpBackend'],
  ] as const) {
    expect(text('core')).toContain(`require("./${name}.cjs")`);
    expect(text('core')).not.toContain(`${made}:()=>`);
    expect(text(name)).toContain(`${made}:()=>`);
  }
});

describe('log-only backend', () => {
  test('says what it would do, and lists what a kernel would hold', async () => {
    const said: Change[] = [];
    let now = 0;
    const backend = new LogOnlyBackend(
      (action) => said.push(action),
      () => now,
    );
    await expect(backend.apply([ban('203.0.113.1')])).rejects.toThrow('jail sshd is not installed');
    await backend.install([jail]);
    await backend.apply([ban('203.0.113.1', 1000), ban('203.0.113.2', 0), ban('203.0.113.3', 1000)]);
    await backend.apply([{ verb: 'unban', jail: 'sshd', address: address('203.0.113.3') }]);
    expect((await bansOf(backend)).map((each) => each.timeoutMs)).toEqual([1000, 0]);
    now = 1000;
    expect((await bansOf(backend)).map((each) => each.address.bytes[15])).toEqual([2]);
    expect(await reconcile(backend, [jail], [])).toBe(1);
    expect(await bansOf(backend)).toEqual([]);
    await backend.remove();
    expect(said.map((action) => action.verb)).toEqual(['ban', 'ban', 'ban', 'unban', 'unban']);
  });
});

describe('log-only backend under a flood', () => {
  test('remembers the newest bans, at most so many', async () => {
    const backend = new LogOnlyBackend(() => undefined);
    await backend.install([jail]);
    const changes = Array.from({ length: logOnlyBansMax + 3 }, (_, n) => ban(`10.0.${n >> 8}.${n & 255}`));
    await backend.apply(changes);
    const held = await bansOf(backend);
    expect(held.length).toBe(logOnlyBansMax);
    expect([...held[0]!.address.bytes.subarray(12)]).toEqual([10, 0, 0, 3]);
  });
});

describe('names of kernel objects', () => {
  test('are safe and short, and differ where the jails differ', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 20 }), (jails) => {
        const names = new Set(jails.map((each) => kernelName('ban4-', each)));
        expect(names.size).toBe(new Set(jails).size);
        for (const name of names) {
          expect(name.length).toBeLessThanOrEqual(kernelNameMax);
          expect(name).toMatch(/^ban4-[A-Za-z0-9_.-]+$/);
        }
      }),
    );
    expect(kernelName('ban4-', 'sshd')).toBe('ban4-sshd');
  });
});

describe('nftables over a socket that loses answers', () => {
  /**
   * A kernel that dumps `held` for any set, accepts everything, and loses the ACKs of element
   * batches while `loses` is true.
   */
  function losingKernel(held: number[][], loses: () => boolean, left = 59_000) {
    return recordedTransport((request) => {
      const type = request.readUInt16LE(4);
      const sequence = request.readUInt32LE(8);
      const done = message(3, 2, sequence, Buffer.alloc(4));
      if (type === 0xa0d) {
        const writer = new MessageWriter();
        writer.beginMessage(0xa0c, 2, sequence, 1);
        writer.begin(3);
        for (const key of held) {
          writer.begin(1);
          writer.begin(1);
          writer.raw(1, Uint8Array.from(key));
          writer.end();
          writer.u64(4, 60_000);
          writer.u64(5, left);
          writer.end();
        }
        writer.end();
        writer.endMessage();
        return [Buffer.from(writer.bytes()), done];
      }
      if (type !== 0x10) return [done];
      if (loses()) return [-constants.errno.ENOBUFS];
      return askedSequences(request).map((each) => acknowledgement(each));
    });
  }

  async function installedOver(held: number[][]) {
    let loses = false;
    const transport = losingKernel(held, () => loses);
    const backend = new NftablesBackend({ table: 'fail2zig', refreshes: true, open: () => transport });
    await backend.install([jail]);
    loses = true;
    return backend;
  }

  /** The types of the messages of one request, in order. */
  function typesOf(request: Buffer): number[] {
    const types: number[] = [];
    for (let at = 0; at < request.length; at += (request.readUInt32LE(at) + 3) & ~3)
      types.push(request.readUInt16LE(at + 4));
    return types;
  }
  const [begin, end, add, remove] = [0x10, 0x11, 0xa0c, 0xa0e];

  test.each([
    [true, [begin, add, end]],
    // Added to an element that is there, a time would be passed over.
    [false, [begin, add, remove, add, end]],
  ])(
    'a ban has its new end, whether the kernel renews the time of an element (%s) or not',
    async (refreshes, types) => {
      const transport = losingKernel([], () => false);
      const backend = new NftablesBackend({ table: 'fail2zig', refreshes, open: () => transport });
      await backend.install([jail]);
      await backend.apply([ban('203.0.113.1'), ban('203.0.113.2')]);
      expect(typesOf(transport.requests.at(-1)!)).toEqual(types);
    },
  );

  test.each([
    [59_000, [begin, add, remove, add, end]],
    [3_600_001, [begin, add, end]],
  ])(
    'what the kernel does is tried once: of two hours for an element with one, %i ms are left',
    async (left, types) => {
      const transport = losingKernel([[192, 0, 2, 1]], () => false, left);
      const backend = new NftablesBackend({ table: 'fail2zig', open: () => transport });
      await backend.install([jail]);
      await backend.apply([ban('203.0.113.1')]);
      expect(typesOf(transport.requests.at(-1)!)).toEqual(types);
      const probes = transport.requests.filter((request) => request.includes('fail2zig-probe')).length;
      await backend.install([jail]);
      expect(transport.requests.filter((request) => request.includes('fail2zig-probe'))).toHaveLength(probes);
    },
  );

  test('a ban that reading back finds has succeeded', async () => {
    const backend = await installedOver([[203, 0, 113, 1]]);
    await backend.apply([ban('203.0.113.1')]);
  });

  test('a ban that reading back does not find, or finds with too early an end, has not succeeded', async () => {
    const backend = await installedOver([[203, 0, 113, 1]]);
    await expect(backend.apply([ban('203.0.113.2')])).rejects.toMatchObject({ code: 'ENOBUFS' });
    await expect(backend.apply([ban('203.0.113.1', 3_600_000)])).rejects.toMatchObject({ code: 'ENOBUFS' });
    await expect(backend.apply([ban('203.0.113.1', 0)])).rejects.toMatchObject({ code: 'ENOBUFS' });
  });

  test('an unban whose element is still there has not succeeded', async () => {
    const backend = await installedOver([[203, 0, 113, 1]]);
    const unban = (text: string): Change => ({ verb: 'unban', jail: 'sshd', address: address(text) });
    await expect(backend.apply([unban('203.0.113.1')])).rejects.toMatchObject({ code: 'ENOBUFS' });
    await backend.apply([unban('203.0.113.2')]);
  });
});
