/**
 * The only loader of the native addon (native/), with its typed signatures. Every function wraps
 * one kernel call: a negative number is -errno, a wrong argument throws TypeError (a bug of ours).
 * The addon is loaded at the first call, so what never touches the kernel runs without it.
 */
import { addonFile, MissingPart } from './parts.ts';

/** Who connected to a unix socket, as the kernel recorded it at connect(). */
export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
  /** Supplementary groups. */
  groups: number[];
}

export interface Native {
  /**
   * Opens a netlink socket (close-on-exec, extended and capped ACKs on). Buffer sizes in bytes, 0 =
   * the kernel's default; they are forced where the process may, else capped by the kernel.
   * @returns descriptor or -errno
   */
  netlinkOpen(protocol: number, groups: number, sendBytes: number, receiveBytes: number): number;
  /**
   * send(2) on another thread, since the kernel may block it for seconds. Returns bytes sent or
   * -errno if it finished within `microseconds` (the calling thread waits awake), else a promise of
   * the same. `bytes` must not change until then.
   */
  netlinkSend(fd: number, bytes: Uint8Array, microseconds: number): number | Promise<number>;
  /**
   * Receives one datagram without waiting (-EAGAIN: there is none). The result is its real length,
   * even where `into` is shorter.
   */
  netlinkReceive(fd: number, into: Uint8Array): number;
  /**
   * The same on a pool thread, since the kernel builds the next part of a dump meanwhile. `into`
   * must not be touched until then.
   */
  netlinkReceiveAside(fd: number, into: Uint8Array): Promise<number>;
  /** poll(2) for input on a pool thread: 1 readable, 0 timeout, or -errno. */
  netlinkWait(fd: number, milliseconds: number): Promise<number>;
  /** SO_PEERCRED and SO_PEERGROUPS of a connected unix socket, or -errno. */
  peerCredentials(fd: number): PeerCredentials | number;
  /** Sends a descriptor over a connected unix socket, with one byte (SCM_RIGHTS): 0 or -errno. */
  sendDescriptor(socket: number, fd: number): number;
  /**
   * Receives the descriptor (close-on-exec) that comes with the next byte, without waiting. Or
   * -errno: -EAGAIN none yet, -EPIPE the peer closed, -EBADMSG not exactly one descriptor.
   */
  receiveDescriptor(socket: number): number;
  /**
   * memfd_create(2) without close-on-exec, so that the next stage inherits it: descriptor or
   * -errno.
   */
  memfd(name: string): number;
  /**
   * A datagram socket connected to the unix socket at `path`, without close-on-exec: descriptor or
   * -errno. Send with writeNow().
   */
  datagramTo(path: string): number;
  /** The same, not connected. Send with datagramSend(). */
  datagramOpen(): number;
  /** Sends to whoever listens at `path` now, without waiting: bytes sent or -errno. */
  datagramSend(fd: number, path: string, bytes: Uint8Array): number;
  /** SHA-256 of a text as UTF-8, in hexadecimal digits: OpenSSL's, as node:crypto has it. */
  sha256(text: string): string;
  /** F_ADD_SEALS: from now on nobody can change or resize the memory file: 0 or -errno. */
  seal(fd: number): number;
  /** F_GET_SEALS: the seals of a memory file, or -errno (-EINVAL: it is not a memory file). */
  seals(fd: number): number;
  /**
   * close_range(2) with CLOSE_RANGE_CLOEXEC: execve closes the open descriptors from `first` to
   * `last`: 0 or -errno (-EINVAL before Linux 5.11).
   */
  closeOnExec(first: number, last: number): number;
  /** F_SETFD without FD_CLOEXEC: execve keeps the descriptor open: 0 or -errno. */
  keepOnExec(fd: number): number;
  /** prctl(2) of the calling thread: result or -errno. */
  prctl(option: number, second: number, third: number): number;
  /**
   * capset(2) of the calling thread: its effective, permitted and inheritable sets, in two halves
   * of 32 bits: 0 or -errno.
   */
  capset(low: number, high: number): number;
  /**
   * seccomp(2) SECCOMP_SET_MODE_FILTER with an array of struct sock_filter: 0 or -errno; with TSYNC
   * a positive number is the thread that could not follow.
   */
  seccomp(flags: number, program: Uint8Array): number;
  /** The ABI version of Landlock or -errno. */
  landlockVersion(): number;
  /** landlock_create_ruleset(2): descriptor or -errno. */
  landlockRuleset(attributes: Uint8Array): number;
  /** landlock_add_rule(2), `attributes` in 16 bytes: 0 or -errno. */
  landlockRule(ruleset: number, type: number, attributes: Uint8Array): number;
  /** landlock_restrict_self(2), of the calling thread: 0 or -errno. */
  landlockRestrict(ruleset: number): number;
  /** From now on SIGSYS reports which call was refused and ends the process: 0 or -errno. */
  endAtRefusedCall(): number;
  /**
   * A unix socket bound to `path`, without close-on-exec, not yet listening: descriptor or -errno.
   */
  unixBind(path: string): number;
  /** Connects to `path` without waiting: 0 where somebody listens, or -errno. */
  unixProbe(path: string): number;
  /**
   * madvise(2) MADV_DONTNEED over whole pages: 0 or -errno. Only ever for clean pages of a file
   * (src/memory/ceiling.ts).
   */
  dropPages(address: number, bytes: number): number;
  /**
   * madvise(2) MADV_DONTDUMP and MADV_DODUMP by turns over each `step` bytes, whole pages: 0 or
   * -errno. It splits a mapping of a file, so that one page fault brings back at most `step` bytes.
   * May be repeated with a smaller step.
   */
  splitRange(address: number, bytes: number, step: number): number;
  /**
   * madvise(2) MADV_HUGEPAGE: asks for large pages for `memory`, so that random access causes fewer
   * TLB misses: 0 or -errno.
   */
  hugePages(memory: ArrayBuffer): number;
  /**
   * A datagram socket for the socket options of iptables (level SOL_IP or SOL_IPV6): descriptor or
   * -errno.
   */
  xtablesOpen(family: 4 | 6): number;
  /** getsockopt(2) with `bytes` as both question and answer: the answer's length or -errno. */
  socketOption(fd: number, level: number, option: number, bytes: Uint8Array): number;
  /** setsockopt(2): 0 or -errno. */
  setSocketOption(fd: number, level: number, option: number, bytes: Uint8Array): number;
  /**
   * IPT_SO_SET_REPLACE on a pool thread: 0 or -errno. `counters` (16 bytes each) receives those of
   * the old table.
   */
  xtablesReplace(fd: number, level: number, replace: Uint8Array, counters: Uint8Array): Promise<number>;
  /**
   * bpf(2): puts the address of each buffer at its offset of `attributes`; result or -errno.
   * Answers are written to both. How much of a buffer the kernel reads and writes depends on the
   * command and the map; the caller makes it large enough.
   */
  bpf(command: number, attributes: Uint8Array, ...pointers: (number | Uint8Array)[]): number;
  /**
   * struct bpf_prog_info into `info`, the ids of the program's maps into `mapIds`, as many as fit:
   * 0 or -errno.
   */
  bpfProgramInfo(fd: number, info: Uint8Array, mapIds: Uint8Array): number;
  /** CLOCK_BOOTTIME in nanoseconds. */
  bootNanoseconds(): bigint;
  /** An inotify(7) queue (close-on-exec, reads never wait): descriptor or -errno. */
  inotifyOpen(): number;
  /**
   * Watches `path` for the events of `mask`: watch descriptor or -errno. A second watch of the same
   * inode returns the same descriptor.
   */
  inotifyAdd(fd: number, path: string, mask: number): number;
  /** 0 or -errno. */
  inotifyRemove(fd: number, watch: number): number;
  /** Reads whole events: their bytes or -errno (-EAGAIN: none waits). */
  inotifyRead(fd: number, into: Uint8Array): number;
  /**
   * Calls `callback` from the event loop while the descriptor is readable. `callback` returns for
   * how many milliseconds it should not be called again, 0 for no pause. Returns the function that
   * stops it (to be called before `fd` is closed), or -errno.
   */
  whenReadable(fd: number, callback: () => number): (() => void) | number;
  /**
   * preadv(2): reads the bytes that end at `position` into `before`, the following ones into
   * `into`: bytes read in all, or -errno.
   */
  readAround(fd: number, before: Uint8Array, into: Uint8Array, position: number): number;
  /**
   * lseek(2) with SEEK_DATA: where data begins, at or after `position`, or -errno (-ENXIO: only a
   * hole follows).
   */
  nextData(fd: number, position: number): number;
  /** A write that never waits: bytes written or -errno (-EAGAIN: it would have to wait). */
  writeNow(fd: number, bytes: Uint8Array): number;
  /**
   * flock(2), exclusive, without waiting: 0 or -errno (-EAGAIN: somebody has it). Closing the
   * descriptor releases it.
   */
  tryLock(fd: number): number;
}

let loaded: Native | undefined;

function addon(): Native {
  if (loaded) return loaded;
  const holder = { exports: {} };
  const file = addonFile();
  try {
    process.dlopen(holder, file);
  } catch (error) {
    throw new MissingPart(`the native part cannot be loaded: ${(error as Error).message}`);
  }
  loaded = holder.exports as Native;
  return loaded;
}

/** The addon's functions. A test may replace one; the replacement comes first. */
export const native: Native = new Proxy({} as Native, {
  get: (own, name: keyof Native) => own[name] ?? addon()[name],
  ownKeys: () => Reflect.ownKeys(addon()),
});
