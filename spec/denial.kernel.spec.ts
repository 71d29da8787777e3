/**
 * Denial of service against the whole daemon: lines made to break it, in the log that it reads.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { runScenario } from '../test/support/namespace.ts';
import { assertNone } from './assertions.ts';
import { claim, given, twin } from './claim.ts';
import type { Outcome } from './support/hostile.scenario.ts';

type Attack = () => Promise<Outcome>;

const file = join(import.meta.dirname, 'support', 'hostile.scenario.ts');
const attack =
  (name: string): Attack =>
  async () =>
    (await runScenario(file, name)) as Outcome;

const ceilingBytes = 64 * 1024 * 1024;
const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);

claim(
  'LP-39',
  given(attack('hostile')),
  async (run) => {
    const { lines, written, bytes, matched, tooLong, invalid, banned, attackers, peakBytes, exit, errors } =
      await run();
    assert.equal(exit, 0, 'exit status when asked to stop');
    assert.equal(lines, written, 'lines the daemon read, of those written');
    assert.equal(banned, attackers, 'attackers banned, of those that failed between the hostile lines');
    assert.ok(peakBytes <= 1.1 * ceilingBytes, `VmHWM ${mebibytes(peakBytes)} MiB is far over the ceiling`);
    assertNone(errors, 'errors in the log');
    assert.ok(matched > 500 && tooLong > 100 && invalid > 20, `too tame: ${matched} matched, ${tooLong} too long`);
    return `${written} lines (${mebibytes(bytes)} MiB) that the fuzzer made for every filter, ${tooLong} of them too long, ${invalid} invalid: all read, ${banned} of ${attackers} attackers between them banned, VmHWM ${mebibytes(peakBytes)} MiB`;
  },
  [
    twin('a daemon that dies half-way', given(attack('hostile and mortal')), /exit status when asked to stop/),
    twin(
      'a daemon that does not see the attackers',
      given(attack('hostile and blind')),
      /lines the daemon read, of those written/,
    ),
    twin('a daemon with a higher ceiling', given(attack('hostile and larger')), /is far over the ceiling/),
  ],
  { needs: ['linux', 'root', 'namespaces', 'built'], timeoutMs: 240_000 },
);
