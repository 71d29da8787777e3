/**
 * Numbers of linux/netfilter/nf_tables.h; attributes by the object that they belong to.
 */
export const attribute = {
  /** Of every object: its table; of a table: its name. */
  table: 1,
  tableFlags: 2,
  chain: { name: 3, hook: 4, policy: 5, type: 7 },
  hook: { number: 1, priority: 2 },
  rule: { chain: 2, expressions: 4 },
  set: { name: 2, flags: 3, keyType: 4, keyBytes: 5, description: 9, id: 10, userData: 13 },
  setDescription: { size: 1 },
  elements: { set: 2, list: 3 },
  element: { key: 1, timeout: 4, expiration: 5 },
  list: { item: 1 },
  data: { value: 1, verdict: 2 },
  verdict: { code: 1, chain: 2 },
  expression: { name: 1, data: 2 },
  meta: { key: 2, register: 1 },
  payload: { register: 1, base: 2, offset: 3, length: 4 },
  compare: { register: 1, operator: 2, data: 3 },
  bitwise: { source: 1, target: 2, length: 3, mask: 4, exclusiveOr: 5 },
  lookup: { set: 1, register: 2 },
  immediate: { register: 1, data: 2 },
  reject: { type: 1, code: 2 },
  counter: { packets: 2 },
  conntrack: { register: 1, key: 2, direction: 3 },
  nat: { type: 1 },
  target: { name: 1 },
  generation: { id: 1 },
} as const;

export const command = {
  newTable: 0,
  getTable: 1,
  delTable: 2,
  newChain: 3,
  getChain: 4,
  delChain: 5,
  newRule: 6,
  getRule: 7,
  delRule: 8,
  newSet: 9,
  getSet: 10,
  delSet: 11,
  newElement: 12,
  getElement: 13,
  delElement: 14,
  getGeneration: 16,
} as const;

/** NETLINK_NETFILTER. */
export const netlinkNetfilter = 12;
/** NFNL_SUBSYS_NFTABLES, in the upper byte of a message's type. */
export const subsystem = 10 << 8;
/** NFPROTO_UNSPEC and NFPROTO_INET. */
export const family = { unspecified: 0, inet: 1 } as const;
export const hookNumber = { input: 1, forward: 2 } as const;
export type Hook = keyof typeof hookNumber;
export const verdict = { drop: 0, accept: 1, jump: -3, goTo: -4, return: -5 } as const;
