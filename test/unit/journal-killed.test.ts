/** Kill -9 and resume, a few times; `npm run test:journal` does it two hundred times. */
import { expect, test } from 'vitest';
import { killed } from '../journal/killed.ts';

test('each entry counts once over kills and rotations', { timeout: 120_000 }, async () => {
  expect(await killed(5)).toMatch(/^5 times killed while 360 entries were written to 3 files: each counted once$/);
});
