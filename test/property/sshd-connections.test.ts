/**
 * How the lines of connections count: the engine and the naive reading agree on every line of
 * generated logs, in every mode, with process numbers that are reused and logs longer than a
 * connection is remembered.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Examiner } from '../../src/engine/examiner.ts';
import { sshd } from '../../src/filters/sshd.ts';
import { formatAddress } from '../../src/text/address.ts';
import { sshdOracle } from '../support/sshd-oracle.ts';
import { sessions } from '../support/sshd-sessions.ts';

const start = Date.UTC(2025, 2, 7, 18, 0, 0) / 1000;
const addresses = ['192.0.2.1', '192.0.2.2', '2001:db8::7'];

describe.each(sshd.modes!)('mode %s', (mode) => {
  test('the engine counts what the naive reading counts', async () => {
    const shape = fc.record({
      seed: fc.integer({ min: 0, max: 2 ** 31 }),
      connections: fc.integer({ min: 1, max: 60 }),
      pids: fc.integer({ min: 1, max: 12 }),
      spreadSeconds: fc.constantFrom(10, 200, 2000),
    });
    const property = fc.asyncProperty(shape, async (options) => {
      const { lines } = sessions({ ...options, addresses, start });
      const jail = { filter: 'sshd', mode, maxretry: 1, findtime: 600, bantime: 600, ipv6Prefix: 128, ignore: [] };
      const engine = await Examiner.create({ build: 'plain', jails: [jail], tableBytes: 0, now: start });
      const read = sshdOracle(mode);
      for (const line of lines) {
        const bytes = Buffer.from(line);
        const { outcome, pattern, address, user } = engine.examine(bytes, 'sshd', mode, start, false);
        const got = {
          outcome,
          pattern,
          address: address && formatAddress(address),
          user: address && (Buffer.from(user ?? []).toString('utf8') || undefined),
        };
        expect(got, line).toEqual(read(bytes, Date.parse(line.split(' ', 1)[0]!) / 1000));
      }
    });
    await fc.assert(property, { numRuns: 60 });
  });
});
