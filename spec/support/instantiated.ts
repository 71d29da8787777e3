/**
 * Modules of WebAssembly that are instantiated while something runs: which engines the virtual
 * machine checks.
 */

interface InstanceConstructor {
  new (module: object, imports: Record<string, Record<string, unknown>>): { exports: Record<string, unknown> };
}

export interface Instantiated {
  exports: Record<string, unknown>;
  size: number;
}

/** What was instantiated while `work` made engines. */
export async function instantiatedBy(work: () => Promise<void>): Promise<Instantiated[]> {
  const global = globalThis as unknown as { WebAssembly: { Instance: InstanceConstructor } };
  const Original = global.WebAssembly.Instance;
  const made: Instantiated[] = [];
  global.WebAssembly.Instance = class extends Original {
    constructor(module: object, imports: Record<string, Record<string, unknown>>) {
      super(module, imports);
      const memory = imports.env?.memory as { buffer: ArrayBuffer };
      made.push({ exports: this.exports, size: memory.buffer.byteLength });
    }
  };
  try {
    await work();
  } finally {
    global.WebAssembly.Instance = Original;
  }
  return made;
}
