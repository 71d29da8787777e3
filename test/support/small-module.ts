/** A WebAssembly module whose functions can be counted by hand. */

const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
const section = (id: number, ...body: number[]): number[] => [id, body.length, ...body];
const head = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const types = section(1, 1, 0x60, 0, 0);
const imports = section(2, 2, ...text('env'), ...text('f'), 0, 0, ...text('env'), ...text('memory'), 2, 1, 1, 2);
const functions = section(3, 3, 0, 0, 0);
const code = section(10, 3, 2, 0, 0x0b, 3, 0, 0x01, 0x0b, 4, 0, 0x01, 0x01, 0x0b);
const names = section(
  0,
  ...text('name'),
  ...((list) => [1, list.length, ...list])([
    3,
    ...[1, ...text('src/engine/generated/a/x')],
    ...[2, ...text('src/engine/generated/a/y')],
    ...[3, ...text('src/engine/table/z')],
  ]),
);
/** Two functions of one generated file, one function of another file, and an import. */
export const smallModule = Uint8Array.from([...head, ...types, ...imports, ...functions, ...code, ...names]);

/** Bytes of code by generated file. */
export const smallModuleSizes = { a: 5 };
/** The same module without names. */
export const smallModuleNameless = [...head, ...types, ...imports, ...functions, ...code];
