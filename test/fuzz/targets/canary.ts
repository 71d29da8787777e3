/**
 * A body that is wrong on purpose, like a filter with an unanchored address: it takes the first
 * address of a line for the attacker's. If a fuzzer does not catch it, it proves nothing.
 */
import assert from 'node:assert/strict';
import { Examiner } from '../../../src/engine/examiner.ts';
import { agreementNow } from '../../support/agreement.ts';
import type { Target } from '../target.ts';
import { lineTargets } from './lines.ts';

const webmin = lineTargets.find(({ name }) => name === 'webmin-auth') as Target;

export const canary: Target = {
  ...webmin,
  name: 'canary',
  says: 'wrong on purpose, and has to be caught: the first address of a line is the one that counts',
  async open() {
    const jail = {
      filter: 'webmin-auth',
      mode: '',
      maxretry: 5,
      findtime: 600,
      bantime: 600,
      ipv6Prefix: 64,
      ignore: [],
    };
    const engine = await Examiner.create({ jails: [jail], tableBytes: 0, now: agreementNow });
    return (line) => {
      const { address } = engine.examine(line, 'webmin-auth', '', agreementNow, false);
      const first = line.toString('latin1').match(/[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/)?.[0];
      if (address?.family === 4 && first !== undefined) assert.equal(first, address.bytes.subarray(12).join('.'));
    };
  },
};
