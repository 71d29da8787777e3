/**
 * Every operation of the netlink backends under every fault: refused with each errno, refused by
 * send(), answers lost, cut or foreign. The kernel is real; a transport in front of it injects the
 * fault until it is removed. Whatever happens, the error is typed, nothing counts as done that
 * other programs do not see, and the operation works once the fault is gone. A backend that trusts
 * every answer must fail this. Run by faults.test.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { constants } from 'node:os';
import { errorName, KernelError } from '../../src/backends/kernel-error.ts';
import { decodeMessages, flagAck } from '../../src/backends/netlink/message.ts';
import { openTransport, type Transport } from '../../src/backends/netlink/socket.ts';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import { IpsetBackend } from '../../src/backends/xtables/ipset.ts';
import { formatAddress } from '../../src/text/address.ts';
import type { Backend } from '../../src/types.ts';
import { bansOf } from '../support/bans-of.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { acknowledgement } from '../support/recorded-transport.ts';
import { ban, sshd, unban } from './bans.ts';
import { nft, nftJson } from './topology.ts';

const table = 'fail2zig';
const held = '203.0.113.1';
const other = '203.0.113.2';
const { errno } = constants;

// --- Faults --------------------------------------------------------------------------------------

interface Fault {
  /** What send() returns instead of sending. */
  send?: number;
  /** The kernel's apparent answer to the first message, which it never saw. */
  refusal?: number;
  /** What happens to each datagram of an answer. */
  answer?: (datagram: Buffer) => Buffer | number;
}

const refusals = [
  'EPERM',
  'ENOENT',
  'EEXIST',
  'EINVAL',
  'EBUSY',
  'ENOSPC',
  'ENFILE',
  'ENOMEM',
  'E2BIG',
  'EOPNOTSUPP',
  'ERANGE',
  'EINTR',
] as const;
const faults: Record<string, Fault> = {
  ...Object.fromEntries(refusals.map((code) => [`refused with ${code}`, { refusal: errno[code] }])),
  'refused with ERESTART': { refusal: 85 },
  'refused with IPSET_ERR_HASH_FULL': { refusal: 4352 },
  ...Object.fromEntries(
    (['EMSGSIZE', 'ENOBUFS', 'EPERM', 'ECONNREFUSED'] as const).map((code) => [
      `not sent: ${code}`,
      { send: errno[code] },
    ]),
  ),
  'answers lost': { answer: () => -errno.ENOBUFS },
  'answers cut in the middle': { answer: (datagram) => datagram.subarray(0, datagram.length >> 1) },
  'answers cut inside the header': { answer: (datagram) => datagram.subarray(0, 7) },
  'answers whose length lies': {
    answer: (datagram) => {
      datagram.writeUInt32LE(0xffff_fff0, 0);
      return datagram;
    },
  },
  'answers to somebody else': {
    answer: (datagram) => {
      for (const { start, sequence } of decodeMessages(datagram, datagram.length).messages)
        datagram.writeUInt32LE((sequence ^ 0x5555_5555) >>> 0, start - 8);
      return datagram;
    },
  },
};

/** The kernel's socket, with a fault in front of it while there is one. */
class Faulty {
  fault: Fault | undefined;

  open(): Transport {
    const real = openTransport(12);
    let made: Buffer[] = [];
    return {
      send: (request) => {
        made = [];
        const { send, refusal } = this.fault ?? {};
        if (send !== undefined) return -send;
        if (refusal === undefined) return real.send(request);
        const bytes = Buffer.from(request);
        const { messages } = decodeMessages(bytes, bytes.length);
        const refused = messages.find(({ flags }) => (flags & flagAck) !== 0) ?? messages[0]!;
        made.push(acknowledgement(refused.sequence, refusal));
        return request.length;
      },
      receive: (into) => {
        const answer = made.shift();
        if (answer !== undefined) {
          into.set(answer);
          return answer.length;
        }
        const length = real.receive(into);
        if (length < 0 || this.fault?.answer === undefined) return length;
        const changed = this.fault.answer(Buffer.from(into.subarray(0, length)));
        if (typeof changed === 'number') return changed;
        into.set(changed);
        return changed.length;
      },
      wait: (milliseconds) => real.wait(Math.min(milliseconds, 20)),
      close: () => real.close(),
    };
  }
}

// --- Operations ----------------------------------------------------------------------------------

interface Subject {
  create: (open: () => Transport) => Backend;
  /** The addresses that other programs see in jail sshd; undefined = there is no such jail. */
  seen: () => string[] | undefined;
  jails: () => string[];
  /** Changes something of the backend's rules, as another program would. */
  spoil: () => void;
  isSpoilt: () => boolean;
}

const ipsets = () => execFileSync('ipset', ['list', '-n'], { encoding: 'utf8' }).split('\n');

const subjects: Record<string, Subject> = {
  nftables: {
    create: (open) => new NftablesBackend({ table, open }),
    seen: () => {
      const sets = nftSets();
      const elements = sets.get('ban4-sshd');
      return elements?.map((each) => (typeof each === 'string' ? each : each.elem.val)).sort();
    },
    jails: () => [...nftSets().keys()].filter((name) => name.startsWith('ban4-')).map((name) => name.slice(5)),
    spoil: () => nft('add', 'chain', 'inet', table, 'foreign'),
    isSpoilt: () => JSON.stringify(nftJson('list', 'ruleset')).includes('"foreign"'),
  },
  ipset: {
    create: (open) => new IpsetBackend({ open }),
    seen: () => {
      if (!ipsets().includes('f2z4-sshd')) return undefined;
      const [, members = ''] = execFileSync('ipset', ['list', 'f2z4-sshd'], { encoding: 'utf8' }).split('Members:\n');
      return members
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.split(' ')[0]!)
        .sort();
    },
    jails: () =>
      ipsets()
        .filter((name) => name.startsWith('f2z4-'))
        .map((name) => name.slice(5)),
    spoil: () => execFileSync('iptables-legacy', ['-F', 'INPUT']),
    isSpoilt: () => !execFileSync('iptables-legacy', ['-S', 'INPUT'], { encoding: 'utf8' }).includes('f2z-sshd'),
  },
};

type NftElement = string | { elem: { val: string } };

function nftSets(): Map<string, NftElement[]> {
  const found = nftJson('list', 'ruleset').nftables as { set?: { name: string; elem?: NftElement[] } }[];
  return new Map(found.flatMap(({ set }) => (set === undefined ? [] : [[set.name, set.elem ?? []]])));
}

/** Runs an operation, and returns whether other programs see its effect. */
interface Operation {
  run: (backend: Backend, subject: Subject) => Promise<unknown>;
  isDone: (subject: Subject, result: unknown) => boolean;
}

const operations: Record<string, Operation> = {
  install: {
    run: (backend) => backend.install([sshd, { ...sshd, name: 'web' }]),
    isDone: ({ jails }) => jails().includes('web'),
  },
  ban: { run: (backend) => backend.apply([ban(other)]), isDone: ({ seen }) => seen()!.includes(other) },
  unban: { run: (backend) => backend.apply([unban(held)]), isDone: ({ seen }) => !seen()!.includes(held) },
  each: {
    run: async (backend) => (await bansOf(backend)).map((each) => formatAddress(each.address)).sort(),
    isDone: ({ seen }, result) => JSON.stringify(result) === JSON.stringify(seen()),
  },
  reconcile: {
    run: (backend, { spoil }) => {
      spoil();
      return backend.reconcile([sshd]);
    },
    isDone: ({ isSpoilt }) => !isSpoilt(),
  },
  remove: { run: (backend) => backend.remove(), isDone: ({ seen }) => seen() === undefined },
};

/** One operation under one fault; throws if the backend claims something that did not happen. */
async function examine(subject: Subject, operation: Operation, fault: Fault, believing: boolean): Promise<void> {
  const faulty = new Faulty();
  const backend = subject.create(() => faulty.open());
  await backend.install([sshd]);
  await backend.apply([ban(held)]);
  faulty.fault = fault;
  const run = () => operation.run(backend, subject);
  const outcome = await (believing ? run().catch(() => undefined) : run()).then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  faulty.fault = undefined;
  if ('error' in outcome) {
    const { error } = outcome;
    assert.ok(error instanceof KernelError, `not typed: ${error}`);
    assert.ok(error.operation !== '' && error.message.startsWith(`${error.operation}: ${error.code}`), error.message);
    const refusal = fault.refusal ?? fault.send;
    if (refusal !== undefined) assert.equal(error.code, errorName(refusal), error.message);
  } else {
    assert.ok(operation.isDone(subject, outcome.result), 'it said that it was done, and others do not see it');
  }
  // Once the cause is gone, it works.
  if (operation !== operations.remove) await backend.install([sshd]);
  assert.ok(operation.isDone(subject, await run()), 'it works again');
  await backend.remove();
  backend.close();
}

function matrixOf(subject: Subject): Scenario {
  return async () => {
    let combinations = 0;
    const failures: string[] = [];
    for (const [operationName, operation] of Object.entries(operations)) {
      for (const [faultName, fault] of Object.entries(faults)) {
        combinations++;
        await examine(subject, operation, fault, false).catch((error: Error) => {
          failures.push(`${operationName}, ${faultName}: ${error.message}`);
        });
      }
    }
    assert.deepEqual(failures, []);
    return { combinations };
  };
}

/** Operations whose effect others see; each of them detects a backend that trusts every answer. */
function twinOf(subject: Subject): Scenario {
  return async () => {
    for (const name of ['install', 'ban', 'unban', 'each', 'reconcile', 'remove']) {
      const examined = examine(subject, operations[name]!, faults['refused with EPERM']!, true);
      await assert.rejects(examined, /others do not see it/, `${name}: the twin was not found out`);
      await subject.create(() => openTransport(12)).remove();
    }
  };
}

export const scenarios: Record<string, Scenario> = Object.fromEntries(
  Object.entries(subjects).flatMap(([name, subject]) => [
    [`${name}: every operation under every fault`, matrixOf(subject)],
    [`${name}: a twin that believes everything is found out`, twinOf(subject)],
  ]),
);

await answerScenario(import.meta.filename, scenarios);
