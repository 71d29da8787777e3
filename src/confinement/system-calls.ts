/**
 * Which system calls the core may make once it has started: one row per call, with its reason and
 * rules for its arguments. A call that no row allows ends the process. Claim: E-01c; the tests make
 * each call inside its row and one outside of it, and find rows that nobody needs.
 */
import type { BackendName } from '../types.ts';

/**
 * Numbers on x64 and arm64. Where arm64 lacks an old call (mkdir), the number is that of the call
 * that libc makes instead (mkdirat).
 */
export const callNumbers = {
  accept4: [288, 242],
  bind: [49, 200],
  bpf: [321, 280],
  brk: [12, 214],
  clock_gettime: [228, 113],
  clock_nanosleep: [230, 115],
  clone: [56, 220],
  clone3: [435, 435],
  close: [3, 57],
  epoll_ctl: [233, 21],
  epoll_pwait: [281, 22],
  execve: [59, 221],
  execveat: [322, 281],
  exit: [60, 93],
  exit_group: [231, 94],
  fchmod: [91, 52],
  fchown: [93, 55],
  fcntl: [72, 25],
  fork: [57, undefined],
  fstat: [5, 80],
  fsync: [74, 82],
  futex: [202, 98],
  getdents64: [217, 61],
  getpeername: [52, 205],
  getpid: [39, 172],
  getsockname: [51, 204],
  getsockopt: [55, 209],
  gettid: [186, 178],
  gettimeofday: [96, 169],
  flock: [73, 32],
  inotify_add_watch: [254, 27],
  inotify_rm_watch: [255, 28],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  ioctl: [16, 29],
  listen: [50, 201],
  lseek: [8, 62],
  madvise: [28, 233],
  mkdir: [83, 34],
  mmap: [9, 222],
  mprotect: [10, 226],
  mremap: [25, 216],
  munmap: [11, 215],
  newfstatat: [262, 79],
  openat: [257, 56],
  pidfd_getfd: [438, 438],
  pkey_mprotect: [329, 288],
  poll: [7, 73],
  pread64: [17, 67],
  preadv: [295, 69],
  pwrite64: [18, 68],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  ptrace: [101, 117],
  read: [0, 63],
  readlink: [89, 78],
  recvfrom: [45, 207],
  recvmsg: [47, 212],
  rename: [82, 38],
  restart_syscall: [219, 128],
  rt_sigprocmask: [14, 135],
  rt_sigreturn: [15, 139],
  sched_getaffinity: [204, 123],
  sched_getparam: [143, 121],
  sched_getscheduler: [145, 120],
  sched_yield: [24, 124],
  seccomp: [317, 277],
  sendto: [44, 206],
  setsockopt: [54, 208],
  shutdown: [48, 210],
  socket: [41, 198],
  statfs: [137, 43],
  statx: [332, 291],
  unlink: [87, 35],
  vfork: [58, undefined],
  write: [1, 64],
  writev: [20, 66],
} as const satisfies Record<string, readonly [number, number | undefined]>;
export type CallName = keyof typeof callNumbers;

/** What an argument (its lower 32 bits) must be. */
export type Rule =
  | { argument: number; is: readonly number[] }
  | { argument: number; lacks: number }
  /** The memory range in arguments 0 and 1 lies where V8 has its code. */
  | 'in code';

export interface Row {
  call: CallName;
  why: string;
  /** Lists of rules, one of which must hold; absent: any arguments. */
  if?: readonly (readonly Rule[])[];
  /** The backends that need it; absent: all. */
  backends?: readonly BackendName[];
  /** Only until everything listens. */
  untilListening?: true;
  /** When the call is made, if a usual day does not show it. */
  rarely?: string;
}

/** asm-generic/mman-common.h */
const executable = 4;
/** linux/socket.h, linux/net.h (with SOCK_NONBLOCK and SOCK_CLOEXEC) and linux/netlink.h */
const family = { inet: 2, inet6: 10, netlink: 16 } as const;
const closeOnExec = 0x8_0000;
const nonBlocking = 0x800;
const socketType = {
  stream: 1 | nonBlocking | closeOnExec,
  datagram: 2 | closeOnExec,
  raw: 3 | closeOnExec,
} as const;
const netlinkProtocols = { route: 0, netfilter: 12 } as const;
/** linux/bpf.h */
const bpfCommands = [0, 1, 2, 3, 5, 13, 14, 15, 24, 26];

/** The most frequent first: the kernel searches from the top if it cannot skip the filter. */
export const allowed: readonly Row[] = [
  // The event loop and its threads.
  { call: 'epoll_pwait', why: 'the event loop waits' },
  { call: 'epoll_ctl', why: 'what it waits for' },
  { call: 'futex', why: 'threads wait for one another' },
  { call: 'read', why: 'logs, events, the control socket, waking of the event loop' },
  { call: 'write', why: 'the log, the state file, waking of the event loop' },
  { call: 'writev', why: 'answers of the control socket and the metrics page' },
  { call: 'close', why: 'descriptors' },
  { call: 'rt_sigprocmask', why: 'libc masks signals when a thread ends' },
  { call: 'rt_sigreturn', why: 'the end of a signal handler' },
  { call: 'getpid', why: 'libuv looks whether it was forked' },
  { call: 'gettid', why: 'V8 looks on which thread it compiles' },
  { call: 'exit', why: 'a thread ends when the daemon stops' },
  { call: 'exit_group', why: 'the daemon stops' },
  { call: 'clock_nanosleep', why: 'V8 waits for its own threads', rarely: 'while garbage is collected aside' },
  { call: 'sched_yield', why: 'V8 spins for a lock', rarely: 'two threads of V8 want the same lock' },
  { call: 'sched_getaffinity', why: 'V8 counts processors', rarely: 'when it starts a task of many threads' },
  { call: 'sched_getparam', why: 'libc looks how a thread is scheduled', rarely: 'when a thread is made late' },
  { call: 'sched_getscheduler', why: 'libc looks how a thread is scheduled', rarely: 'when a thread is made late' },
  { call: 'restart_syscall', why: 'a wait goes on', rarely: 'the daemon was stopped (SIGSTOP) and goes on' },
  { call: 'clock_gettime', why: 'the time', rarely: 'on machines whose clock the vDSO cannot read' },
  { call: 'gettimeofday', why: 'the time', rarely: 'on machines whose clock the vDSO cannot read' },
  // Memory.
  { call: 'madvise', why: 'pages are given back' },
  { call: 'mmap', why: 'memory of the heap', if: [[{ argument: 2, lacks: executable }]] },
  { call: 'munmap', why: 'memory of the heap' },
  {
    call: 'mprotect',
    why: 'memory of the heap; code only where V8 has had some since the start',
    if: [[{ argument: 2, lacks: executable }], ['in code']],
    rarely: 'where V8 takes back pages that it gave up',
  },
  {
    call: 'pkey_mprotect',
    why: 'the same',
    if: [[{ argument: 2, lacks: executable }], ['in code']],
    rarely: 'on processors with protection keys, by which V8 guards its code',
  },
  { call: 'mremap', why: 'libc makes a large block larger', rarely: 'where malloc cannot grow a block in place' },
  { call: 'brk', why: 'memory of libc' },
  // Files.
  { call: 'statx', why: 'log files are looked at' },
  { call: 'fstat', why: 'files are looked at' },
  { call: 'newfstatat', why: 'libc asks what a file is' },
  { call: 'statfs', why: 'on which file system a log is' },
  { call: 'pread64', why: 'logs are read' },
  { call: 'preadv', why: 'logs are read into two places' },
  { call: 'lseek', why: 'holes of sparse logs are passed over' },
  { call: 'openat', why: 'logs, the state file, /proc' },
  { call: 'readlink', why: 'links on the way to a log' },
  { call: 'getdents64', why: 'directories of logs are listed' },
  { call: 'inotify_add_watch', why: 'directories and logs are watched' },
  { call: 'inotify_rm_watch', why: 'the same' },
  { call: 'mkdir', why: 'the directory of the state file' },
  { call: 'pwrite64', why: 'the seal of the audit log is written over' },
  { call: 'unlink', why: 'the temporary state file, the control socket, the oldest records' },
  { call: 'rename', why: 'the state file is replaced, records are rotated' },
  { call: 'fsync', why: 'the state file is on disk before it replaces the old one, records before the seal' },
  {
    call: 'fchown',
    why: 'a new file of records belongs to the group of the socket',
    rarely: 'when the records are rotated',
  },
  {
    call: 'fchmod',
    why: 'the same',
    if: [[{ argument: 1, is: [0o640] }]],
    rarely: 'when the records are rotated',
  },
  {
    call: 'poll',
    why: 'whether the reader of the log can take a line',
    rarely: 'where standard error is a pipe or a terminal',
  },
  { call: 'fcntl', why: 'Node leaves standard descriptors as they were', if: [[{ argument: 1, is: [3, 4] }]] },
  {
    call: 'fcntl',
    why: 'whether a record that is handed over is sealed (F_GET_SEALS)',
    if: [[{ argument: 1, is: [1034] }]],
    rarely: 'at a reload',
  },
  {
    call: 'ioctl',
    why: 'the same, for terminals (TCSETS)',
    if: [[{ argument: 1, is: [0x5402] }]],
    rarely: 'where a standard descriptor is a terminal',
  },
  // Sockets.
  { call: 'accept4', why: 'a peer of the control socket or the metrics page' },
  { call: 'getsockopt', why: 'who the peer is' },
  { call: 'setsockopt', why: 'TCP_NODELAY of a metrics connection; tables of iptables' },
  { call: 'shutdown', why: 'the end of a connection' },
  { call: 'recvfrom', why: 'answers of the kernel' },
  { call: 'recvmsg', why: 'the addresses of this host; the record of a reload' },
  { call: 'sendto', why: 'transactions, records for journald, the log for syslog' },
  { call: 'getsockname', why: 'libc asks for its own netlink address' },
  { call: 'getpeername', why: 'Node asks whom it turns away from a full metrics page' },
  { call: 'bind', why: 'a netlink socket' },
  {
    call: 'socket',
    why: 'netlink: the firewall, and the addresses of this host',
    if: [
      [
        { argument: 0, is: [family.netlink] },
        { argument: 1, is: [socketType.raw] },
        { argument: 2, is: [netlinkProtocols.route, netlinkProtocols.netfilter] },
      ],
    ],
  },
  {
    call: 'socket',
    why: 'tables of iptables are read and written through one',
    if: [
      [
        { argument: 0, is: [family.inet, family.inet6] },
        { argument: 1, is: [socketType.datagram] },
      ],
    ],
    backends: ['auto', 'iptables', 'ipset'],
  },
  {
    call: 'socket',
    why: 'the metrics page, whose port is taken so far',
    if: [
      [
        { argument: 0, is: [family.inet, family.inet6] },
        { argument: 1, is: [socketType.stream] },
      ],
    ],
    untilListening: true,
  },
  { call: 'listen', why: 'the same', untilListening: true },
  {
    call: 'seccomp',
    why: 'the stricter filter once it listens (SECCOMP_SET_MODE_FILTER)',
    if: [[{ argument: 0, is: [1] }]],
    untilListening: true,
  },
  // Backends.
  { call: 'flock', why: 'the lock of iptables', backends: ['auto', 'iptables', 'ipset'] },
  { call: 'bpf', why: 'maps and the program', if: [[{ argument: 0, is: bpfCommands }]], backends: ['xdp'] },
];

/** Calls that only an exploit would make: they end the process without a handler. */
export const deadly: readonly CallName[] = [
  'execve',
  'execveat',
  'fork',
  'vfork',
  'clone',
  'clone3',
  'ptrace',
  'process_vm_readv',
  'process_vm_writev',
  'pidfd_getfd',
  'io_uring_setup',
  'io_uring_enter',
  'io_uring_register',
  'seccomp',
];
