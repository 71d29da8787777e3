/** The measuring of matchers, over small modules whose sizes can be counted by hand. */
import { expect, test } from 'vitest';
import { matcherSizes, withoutNames } from '../../scripts/matcher-sizes.ts';

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
const module = Uint8Array.from([...head, ...types, ...imports, ...functions, ...code, ...names]);

test('functions of one file are added up; imported ones have no code', () => {
  expect(() => new WebAssembly.Module(module)).not.toThrow();
  expect(matcherSizes(module)).toEqual({ a: 5 });
});

test('names go, the rest stays as it is', () => {
  expect([...withoutNames(module)]).toEqual([...head, ...types, ...imports, ...functions, ...code]);
});
