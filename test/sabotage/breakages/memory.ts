/** Breakages of the memory page: what the ceiling is made of, and what a line leaves behind. */
import type { Breakage } from '../breakage.ts';

export const memory: readonly Breakage[] = [
  {
    name: 'a soak of ten minutes is taken for one of an hour',
    find: 'options.seconds >= 3_600 && last.seconds >= 3_600',
    put: 'options.seconds >= 3_600 && last.seconds >= 360',
    claims: ['MM-28'],
  },
  {
    name: 'the table gets half of what the ceiling leaves',
    find: 'const table = ceilingBytes - others;',
    put: 'const table = (ceilingBytes - others) / 2;',
    claims: ['MM-13', 'MM-02'],
  },
  {
    name: 'a slot takes 64 bytes',
    find: 'slot: entry + layout.MARK_BYTES, sets: 0',
    put: 'slot: 64, sets: 0',
    claims: ['MM-12', 'MM-05'],
  },
  {
    name: 'a table takes twice the slots that its bytes hold',
    find: 'Math.floor(room / (shape.slot * layout.TABLE_WAYS))',
    put: 'Math.floor((2 * room) / (shape.slot * layout.TABLE_WAYS))',
    claims: ['LP-23', 'MM-05'],
  },
  {
    name: 'an engine asks for a second block of memory',
    find: 'const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });',
    put: 'new WebAssembly.Memory({ initial: 1, maximum: 1 });\n    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });',
    claims: ['MM-05'],
  },
  {
    name: 'an address leaves with the four bytes of IPv4 only',
    find: 'const bytes = this.bytes.slice(p + layout.DECISION_ADDRESS, p + layout.DECISION_ADDRESS + 16);\n      for (let at = bits >> 3',
    put: 'const bytes = this.bytes.slice(\n        p + layout.DECISION_ADDRESS + (family === 4 ? 12 : 0),\n        p + layout.DECISION_ADDRESS + 16,\n      );\n      for (let at = bits >> 3',
    claims: ['MM-24'],
  },
  {
    name: 'file pages are released at start and never again',
    find: 'this.#timer = setInterval(() => this.governor.look(), limits.governorMs);',
    put: '',
    claims: ['MM-26'],
  },
  {
    name: "the engine's bytes are counted with the table's",
    find: "{ part: 'engine', bytes: sizes.engine, bytesMax: sizes.engine },",
    put: "{ part: 'engine', bytes: sizes.engine + sizes.table, bytesMax: sizes.engine },",
    claims: ['MM-02'],
  },
  {
    name: 'file pages of the start are counted against the table',
    find: '  sizeTable(engineBytes: number): number {\n    this.governor.release();\n',
    put: '  sizeTable(engineBytes: number): number {\n',
    claims: ['X-pages'],
  },
];
