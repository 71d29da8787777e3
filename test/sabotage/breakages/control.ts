/** Breakages of the control socket and the metrics page: who is let in, and how long. */
import type { Breakage } from '../breakage.ts';

export const control: readonly Breakage[] = [
  {
    name: 'a peer with any further group counts as a member of ours',
    find: "return peer.gid === groupId || peer.groups.includes(groupId) ? 'group' : undefined;",
    put: "return peer.gid === groupId || peer.groups.length > 0 ? 'group' : undefined;",
    claims: ['S-01'],
  },
  {
    name: 'where no group is configured, everybody is a member',
    find: 'if (groupId === undefined) return undefined;',
    put: "if (groupId === undefined) return 'group';",
    claims: ['S-01'],
  },
  {
    name: 'a peer that the kernel does not know is root',
    find: "return typeof answer === 'number' ? undefined : answer;",
    put: "return typeof answer === 'number' ? { pid: 0, uid: 0, gid: 0, groups: [] } : answer;",
    claims: ['S-01'],
  },
  {
    name: 'between bind and chmod everybody may connect',
    find: 'const mask = process.umask(0o177);',
    put: 'const mask = process.umask();',
    claims: ['S-01'],
  },
  {
    name: 'the metrics listener listens on every address',
    find: 'server.listen({ host: bind, port, backlog: limits.metricsBacklog }, () => {',
    put: 'server.listen({ port, backlog: limits.metricsBacklog }, () => {',
    claims: ['I-01'],
  },
  {
    name: 'a remote metrics address is taken without allow_remote',
    find: 'if (isLoopback(bind)) return bind;\n    if (allowRemote) {',
    put: 'if (isLoopback(bind)) return bind;\n    if (allowRemote || bind !== "") {',
    claims: ['I-01'],
  },
  {
    name: 'a control connection that says nothing is kept for ever',
    find: 'this.#within(options.deadlines.idleMs, () => socket.destroy());\n  }',
    put: '}',
    claims: ['D-03'],
  },
  {
    name: 'a frame may claim 4 GiB',
    find: 'if (length > frameBytesMax) {\n      this.#fail(',
    put: 'if (length > 2 ** 32) {\n      this.#fail(',
    claims: ['D-03'],
  },
  {
    name: 'a budget that is not used grows without bound',
    find: 'this.#left = Math.min(this.#most, this.#left + Math.max(0, gained));',
    put: 'this.#left = this.#left + Math.max(0, gained);',
    claims: ['D-03'],
  },
  {
    name: 'a scraper that takes its answer slowly keeps its place',
    find: 'const timer = setTimeout(() => request.socket.destroy(), this.#timeoutMs);',
    put: 'const timer = setTimeout(() => {}, this.#timeoutMs);',
    claims: ['D-04a'],
  },
];
