/**
 * Capabilities, in the launch stage: what is dropped here is dropped on every thread of the core,
 * through execve. Invariant: the core holds at most the capabilities of `wanted`, whatever the
 * launch stage was started with, and cannot gain others. A failed step ends the start. Claim:
 * X-privileges.
 */
import { readFileSync } from 'node:fs';
import { native } from '../native.ts';
import type { BackendName } from '../types.ts';

/** linux/capability.h */
const numbers = { dac_read_search: 2, setgid: 6, setpcap: 8, net_admin: 12, bpf: 39 } as const;
type Capability = keyof typeof numbers;

/** linux/prctl.h */
const setNoNewPrivileges = 38;
const dropFromBoundingSet = 24;
const ambient = 47;
const ambientRaise = 2;
const ambientClearAll = 4;

/** The capabilities that the core needs, each with its reason. */
export function wanted(backend: BackendName): Capability[] {
  return [
    'net_admin', // sets, rules and the log of changes of the firewall
    'dac_read_search', // logs that only their service's group may read
    ...(backend === 'xdp' ? (['bpf'] as const) : []), // programs and maps
  ];
}

function must(what: string, result: number): void {
  if (result < 0) throw new Error(`cannot give up privileges: ${what} (errno ${-result})`);
}

/** Bits of a line of /proc/self/status. */
export function statusBits(name: string, status = readFileSync('/proc/self/status', 'latin1')): bigint {
  return BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1]}`);
}

function keepGroup(groupId: number | undefined): void {
  try {
    process.setgroups?.(groupId === undefined ? [] : [groupId]);
  } catch {
    // In a user namespace that forbids it, the groups of its creator remain.
  }
}

/** What is left, by name and as /proc/self/status shows it. */
export interface Kept {
  names: Capability[];
  bits: string;
}

/**
 * Drops everything that `backend` does not need. The only group left is that of the socket and the
 * records: a member may give its files to that group, so the core needs no right to change owners.
 */
export function dropPrivileges(backend: BackendName, groupId: number | undefined): Kept {
  const permitted = statusBits('CapPrm');
  const has = (capability: number): boolean => ((permitted >> BigInt(capability)) & 1n) === 1n;
  const kept = wanted(backend).filter((name) => has(numbers[name]));
  const keptNumbers: number[] = kept.map((name) => numbers[name]);
  if (has(numbers.setgid)) keepGroup(groupId);
  must('no_new_privs', native.prctl(setNoNewPrivileges, 1, 0));
  const last = Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'latin1'));
  for (let each = 0; has(numbers.setpcap) && each <= last; each++) {
    if (!keptNumbers.includes(each)) must('bounding set', native.prctl(dropFromBoundingSet, each, 0));
  }
  must('ambient set', native.prctl(ambient, ambientClearAll, 0));
  const mask = keptNumbers.reduce((sum, number) => sum | (1n << BigInt(number)), 0n);
  must('capset', native.capset(Number(mask & 0xffff_ffffn), Number(mask >> 32n)));
  // After execve, root has what is permitted and in the bounding set; other users what is ambient.
  for (const number of keptNumbers) must('ambient set', native.prctl(ambient, ambientRaise, number));
  return { names: kept, bits: mask.toString(16).padStart(16, '0') };
}
