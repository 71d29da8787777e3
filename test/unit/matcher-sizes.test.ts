/** The sizes of matchers, measured on small modules whose sizes can be counted by hand. */
import { expect, test } from 'vitest';
import { matcherSizes, withoutNames } from '../../scripts/matcher-sizes.ts';
import { smallModule, smallModuleNameless, smallModuleSizes } from '../support/small-module.ts';

test('functions of one file are added up; imported ones have no code', () => {
  expect(() => new WebAssembly.Module(smallModule)).not.toThrow();
  expect(matcherSizes(smallModule)).toEqual(smallModuleSizes);
});

test('names go, the rest stays as it is', () => {
  expect([...withoutNames(smallModule)]).toEqual(smallModuleNameless);
});
