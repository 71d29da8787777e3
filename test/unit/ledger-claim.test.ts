/** Every HELD depends on `prove`: no body that proves nothing may pass it. */
import assert from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { given, NotMet, prove, twin } from '../../spec/claim.ts';
import { Inapplicable } from '../sabotage/breakage.ts';

const isEven = (number: number) => {
  assert.equal(number % 2, 0, `${number} is odd`);
  return `${number} is even`;
};

/** For tests in which the reason does not matter. */
const any = /./;

describe('prove', () => {
  test('returns the evidence and what each twin failed', async () => {
    const result = await prove(given(4), isEven, [twin('an odd number', given(3), any)]);
    expect(result).toEqual({ evidence: '4 is even', twinFailed: [{ why: 'an odd number', by: '3 is odd' }] });
  });

  test('fails where the real piece fails', async () => {
    await expect(prove(given(1), isEven, [twin('an odd number', given(3), any)])).rejects.toThrow('1 is odd');
  });

  test('fails where a twin passes', async () => {
    await expect(prove(given(4), isEven, [twin('not broken', given(6), any)])).rejects.toThrow('passed the body');
  });

  test('fails where one of several twins passes', async () => {
    const twins = [twin('an odd number', given(3), any), twin('not broken', given(6), any)];
    await expect(prove(given(4), isEven, twins)).rejects.toThrow('passed the body');
  });

  test('fails where a twin crashes the body instead of failing an assertion', async () => {
    const body = (piece: { size: () => number }) => `${piece.size()}`;
    const broken = {} as { size: () => number };
    const real = { size: (): number => 1 };
    await expect(prove(given(real), body, [twin('no method', given(broken), any)])).rejects.toThrow('crashed');
  });

  test('fails where a twin fails another assertion than the expected one', async () => {
    const wrong = [twin('an odd number', given(3), /is too large/)];
    await expect(prove(given(4), isEven, wrong)).rejects.toThrow('for another reason');
    const right = [twin('an odd number', given(3), /is odd/)];
    await expect(prove(given(4), isEven, right)).resolves.toMatchObject({ evidence: '4 is even' });
  });

  test('fails, and says so, where a breakage cannot be applied', async () => {
    const piece = {
      make: (): number => {
        throw new Inapplicable('its text stands nowhere');
      },
    };
    await expect(prove(given(4), isEven, [twin('broken twice', piece, any)])).rejects.toThrow(/^its text stands/);
  });

  test('a measured miss needs a twin as well', async () => {
    const body = (number: number) => {
      assert.ok(number > 0, 'not measured');
      return new NotMet(`${number} of 9`);
    };
    const result = await prove(given(4), body, [twin('nothing measured', given(0), any)]);
    expect(result.evidence).toEqual(new NotMet('4 of 9'));
    await expect(prove(given(4), body, [twin('not broken', given(6), any)])).rejects.toThrow('NOT MET: 6 of 9');
  });

  test('twins that run beside each other all have to fail, and all are over when it ends', async () => {
    let running = 0;
    let most = 0;
    const body = async (number: number) => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running--;
      return isEven(number);
    };
    const twins = [1, 3, 5].map((number) => twin(`it is ${number}`, given(number), any));
    const { twinFailed } = await prove(given(4), body, twins, undefined, true);
    expect(twinFailed).toEqual([1, 3, 5].map((number) => ({ why: `it is ${number}`, by: `${number} is odd` })));
    expect(most).toBe(3);
    const late = { make: () => new Promise<number>((resolve) => setTimeout(() => resolve(5), 20)) };
    const some = [twin('not broken', given(6), any), twin('it comes late', late, any)];
    await expect(prove(given(4), body, some, undefined, true)).rejects.toThrow('passed the body');
    expect([running, most]).toEqual([0, 3]);
  });

  test('fails without a twin', async () => {
    await expect(prove(given(4), isEven, [])).rejects.toThrow('without a twin');
  });

  test('counts a failure of vitest expect as an assertion', async () => {
    const body = (number: number) => {
      expect(number).toBe(4);
      return 'four';
    };
    await expect(prove(given(4), body, [twin('five', given(5), any)])).resolves.toMatchObject({ evidence: 'four' });
  });

  test('disposes of real piece and twins', async () => {
    const gone: number[] = [];
    const supply = (number: number) => ({ make: () => number, dispose: (piece: number) => void gone.push(piece) });
    await prove(supply(4), isEven, [twin('an odd number', supply(3), any)]);
    expect(gone).toEqual([4, 3]);
  });
});
