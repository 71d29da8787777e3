/**
 * What the kernel refuses, and what its silence means: every error is typed, nothing counts as done
 * that did not happen, and the ban reaches the kernel once the cause is gone. Run by
 * nftables-errors.test.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { constants } from 'node:os';
import { chooseBackend, NoBackendError } from '../../src/backends/choose.ts';
import { KernelError } from '../../src/backends/kernel-error.ts';
import type { Field } from '../../src/backends/netlink/message.ts';
import { NetlinkSocket, openTransport, type Transport } from '../../src/backends/netlink/socket.ts';
import { Batch } from '../../src/backends/nftables/messages.ts';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import { command } from '../../src/backends/nftables/numbers.ts';
import { bansMaxLargest, changesPerTransactionMax } from '../../src/limits.ts';
import { maskAddress, parseCidr } from '../../src/text/address.ts';
import type { Change, JailScaffold } from '../../src/types.ts';
import { bansOf } from '../support/bans-of.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { reconcile } from '../support/reconcile.ts';
import { nft, nftElements, nftJson } from './topology.ts';

const table = 'fail2zig';
const jail: JailScaffold = { name: 'sshd', ipv6Prefix: 64, ports: [], protocols: [], hooks: ['input'] };
const key = Uint8Array.of(203, 0, 113, 99);

function ban(text: string, timeoutMs = 3_600_000): Change {
  const address = parseCidr(text, 'clear');
  if (typeof address === 'string') throw new Error(address);
  const prefix = address.family === 6 ? jail.ipv6Prefix : address.prefix;
  return { verb: 'ban', ban: { jail: 'sshd', address: maskAddress({ ...address, prefix }), timeoutMs } };
}

async function installed(options: Partial<ConstructorParameters<typeof NftablesBackend>[0]> = {}) {
  const backend = new NftablesBackend({ table, ...options });
  await backend.install([jail]);
  return backend;
}

/** Runs `work`, which must be refused with `code`, and returns the error. */
async function refused(work: Promise<unknown>, code: string): Promise<KernelError> {
  const error = await work.then(
    () => assert.fail(`${code} expected, but it was accepted`),
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof KernelError, `${error}`);
  assert.equal(error.code, code, error.message);
  assert.ok(error.message.startsWith(`${error.operation}: ${code}`), error.message);
  return error;
}

/** One message that the kernel refuses, after one that it would accept. */
interface Refusal {
  errno: string;
  text?: RegExp;
  build: (batch: Batch) => void;
}

const chainWith = (name: string, hook: number): Field[] => [
  [3, name],
  [
    4,
    [
      [1, hook],
      [2, 0],
    ],
  ],
  [7, 'filter'],
];
/** Names another table than that of the batch: of two attributes of one number the last counts. */
const inTable = (name: string): Field => [1, name];

const refusals: Record<string, Refusal> = {
  'a missing table': {
    errno: 'ENOENT',
    build: (batch) => batch.add(command.newChain, 0x400, 'add chain', [inTable('absent'), [3, 'chain']]),
  },
  'a missing set': {
    errno: 'ENOENT',
    build: (batch) => batch.addElements('absent', [{ key, timeoutMs: 0 }]),
  },
  'the deletion of an absent element': {
    errno: 'ENOENT',
    build: (batch) => batch.deleteElements('ban4-sshd', [{ key: Uint8Array.of(1, 2, 3, 4), timeoutMs: 0 }]),
  },
  'a set that exists with another key': {
    errno: 'EEXIST',
    build: (batch) => batch.addSet({ name: 'ban4-sshd', family: 6, prefix: 128, comment: '' }, 77, 0),
  },
  'a table that exists, exclusively': {
    errno: 'EEXIST',
    build: (batch) => batch.add(command.newTable, 0x600, 'add table exclusively', []),
  },
  'the deletion of a set in use': {
    errno: 'EBUSY',
    build: (batch) => batch.add(command.delSet, 0, 'delete set in use', [[2, 'ban4-sshd']]),
  },
  'a key of the wrong length': {
    errno: 'EINVAL',
    build: (batch) => batch.addElements('ban4-sshd', [{ key: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), timeoutMs: 0 }]),
  },
  'a message type that does not exist': {
    errno: 'EINVAL',
    build: (batch) => batch.add(99, 0, 'unknown message', []),
  },
  'a name of 300 bytes': {
    errno: 'ERANGE',
    text: /policy/,
    build: (batch) => batch.add(command.newTable, 0x400, 'add table', [inTable('x'.repeat(300))]),
  },
  'a hook that does not exist': {
    errno: 'EOPNOTSUPP',
    build: (batch) => batch.add(command.newChain, 0x400, 'add chain at hook 9', chainWith('nine', 9)),
  },
};

const refusalScenarios = Object.fromEntries(
  Object.entries(refusals).map(([name, refusal]): [string, Scenario] => [
    `${refusal.errno} for ${name}`,
    async () => {
      const backend = await installed();
      const socket = new NetlinkSocket(openTransport(12));
      const batch = new Batch(table, () => socket.nextSequence());
      batch.addElements('ban4-sshd', [{ key, timeoutMs: 0 }]);
      refusal.build(batch);
      const last = batch.expected.at(-1)!;
      const error = await refused(socket.exchange(batch.finish(), batch.expected, batch.strays), refusal.errno);
      assert.equal(error.operation, last.operation);
      if (refusal.text) assert.match(error.message, refusal.text);
      assert.equal(
        nftElements(table, 'ban4-sshd').size,
        0,
        'what stood before the refused message does not hold either',
      );
      // The socket is in step again.
      await backend.apply([ban('203.0.113.1')]);
      const again = new Batch(table, () => socket.nextSequence());
      again.addElements('ban4-sshd', [{ key, timeoutMs: 0 }]);
      await socket.exchange(again.finish(), again.expected, again.strays);
      assert.equal(nftElements(table, 'ban4-sshd').size, 2);
    },
  ]),
);

/**
 * This file, started again without CAP_NET_ADMIN: install and apply are refused, and so is choosing
 * a backend.
 */
async function withoutCapability(): Promise<unknown> {
  const backend = new NftablesBackend({ table });
  const codes: string[] = [];
  for (const work of [() => backend.install([jail]), () => backend.remove()]) {
    codes.push((await refused(work(), 'EPERM')).code);
  }
  const firewall = { backend: 'auto' as const, table, allowLogOnly: false, interfaces: [] };
  const error = await chooseBackend(firewall, [jail], () => undefined).catch((cause: unknown) => cause);
  assert.ok(error instanceof NoBackendError);
  assert.match(error.message, /nftables: .*EPERM.*CAP_NET_ADMIN/);
  const { backend: dry, attempts } = await chooseBackend({ ...firewall, allowLogOnly: true }, [jail], () => undefined);
  return { codes, chosen: dry.name, refusedBefore: attempts.map((attempt) => attempt.backend) };
}

export const scenarios: Record<string, Scenario> = {
  ...refusalScenarios,

  'EPERM without CAP_NET_ADMIN, and log-only only where allowed': async () => {
    const drop = ['--bounding-set=-net_admin', '--inh-caps=-net_admin', process.execPath, import.meta.filename];
    const facts = JSON.parse(execFileSync('setpriv', [...drop, '(without capability)'], { encoding: 'utf8' }));
    assert.deepEqual(facts, {
      codes: ['EPERM', 'EPERM'],
      chosen: 'log-only',
      refusedBefore: ['nftables', 'iptables', 'ipset'],
    });
    assert.deepEqual(
      nftJson('list', 'ruleset').nftables.filter((each) => !('metainfo' in each)),
      [],
    );
  },

  'ENOENT after an outside flush, and the ban lands after reconcile': async () => {
    const backend = await installed();
    nft('flush', 'ruleset');
    const error = await refused(backend.apply([ban('203.0.113.1')]), 'ENOENT');
    assert.match(error.operation, /add 1 element of set ban4-sshd/);
    const wanted = (ban('203.0.113.1') as Extract<Change, { verb: 'ban' }>).ban;
    assert.ok((await reconcile(backend, [jail], [wanted])) > 0);
    await backend.apply([ban('203.0.113.2')]);
    assert.deepEqual([...nftElements(table, 'ban4-sshd').keys()].sort(), ['203.0.113.1', '203.0.113.2']);
  },

  'ENFILE when a set is full: none of the transaction holds, and it lands once there is room': async () => {
    const backend = await installed({ setElementsMax: 2 });
    await backend.apply([ban('203.0.113.1', 1_000)]);
    await refused(backend.apply([ban('203.0.113.2'), ban('203.0.113.3')]), 'ENFILE');
    assert.equal((await bansOf(backend)).filter((each) => each.address.bytes[15] !== 1).length, 0);
    await backend.apply([{ verb: 'unban', jail: 'sshd', address: (await bansOf(backend))[0]!.address }]);
    await backend.apply([ban('203.0.113.2'), ban('203.0.113.3')]);
    assert.deepEqual([...nftElements(table, 'ban4-sshd').keys()].sort(), ['203.0.113.2', '203.0.113.3']);
  },

  'firewall.bans_max is the size of every set, also of those of an earlier run': async () => {
    const size = (set: string) =>
      (nftJson('list', 'set', 'inet', table, set).nftables as { set?: { size?: number } }[]).find((each) => each.set)!
        .set!.size;
    const firewall = { backend: 'nftables' as const, table, allowLogOnly: false, interfaces: [] };
    for (const [bansMax, expected] of [
      [0, bansMaxLargest],
      [100, 100 + changesPerTransactionMax],
      [5, 5 + changesPerTransactionMax],
    ] as const) {
      const { backend } = await chooseBackend({ ...firewall, bansMax }, [jail], () => undefined);
      assert.deepEqual([size('ban4-sshd'), size('ban6-sshd')], [expected, expected]);
      backend.close();
    }
  },

  'EMSGSIZE: transactions are split until the socket takes them': async () => {
    const backend = await installed({ open: (sendBytes = 1) => openTransport(12, { sendBytes }) });
    const count = 2000;
    await backend.apply(Array.from({ length: count }, (_, index) => ban(`10.0.${index >> 8}.${index & 255}`)));
    assert.equal(nftElements(table, 'ban4-sshd').size, count);
    // Moving them to another set takes one transaction, however large.
    await backend.apply(Array.from({ length: 500 }, (_, index) => ban(`2001:db8:${index.toString(16)}::1`)));
    await backend.install([{ ...jail, ipv6Prefix: 48 }]);
    assert.equal(nftElements(table, 'ban6-sshd').size, 500);
  },

  'ENOBUFS: a lost ACK is followed by reading back': async () => {
    const backend = await installed();
    backend.close();
    let lost = 0;
    const open = (): Transport => {
      const real = openTransport(12, { receiveBytes: 1 });
      const receive = (into: Uint8Array) => {
        const length = real.receive(into);
        if (length === -constants.errno.ENOBUFS) lost++;
        return length;
      };
      return { ...real, receive };
    };
    const narrow = await installed({ open });
    const wide = Array.from({ length: 8000 }, (_, index) => ban(`10.0.${index >> 8}.${index & 255}`));
    const both = wide.flatMap((each, index) => [each, ban(`2001:db8:0:${index.toString(16)}::1`)]);
    await narrow.apply(both.slice(0, 8192));
    assert.ok(lost > 0, 'no answer was lost');
    assert.equal(nftElements(table, 'ban4-sshd').size + nftElements(table, 'ban6-sshd').size, 8192);
  },

  'silence is ETIMEDOUT': async () => {
    const socket = new NetlinkSocket(openTransport(12), 50);
    for (const request of [Buffer.alloc(16, 0xff), Buffer.alloc(8)]) {
      const error = await refused(socket.exchange(request, [{ sequence: 1, operation: 'ask' }]), 'ETIMEDOUT');
      assert.equal(error.message, 'ask: ETIMEDOUT (the kernel did not answer)');
    }
  },

  'a batch without its end is not believed': async () => {
    const backend = await installed();
    const socket = new NetlinkSocket(openTransport(12));
    const batch = new Batch(table, () => socket.nextSequence());
    batch.addElements('ban4-sshd', [{ key, timeoutMs: 0 }]);
    // The kernel ACKs this and applies nothing: why Batch.finish() is the only way to the bytes.
    await socket.exchange(batch.writer.bytes(), batch.expected, batch.strays);
    assert.deepEqual(await bansOf(backend), []);
  },
};

await answerScenario(import.meta.filename, { ...scenarios, '(without capability)': withoutCapability });
