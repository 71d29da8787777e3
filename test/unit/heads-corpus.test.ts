/**
 * test/corpus/heads/*.txt, read by the engine: whatever head and wrapper a line has, it counts
 * against the address that the file says.
 */
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Examiner } from '../../src/engine/examiner.ts';
import type { Build } from '../../src/engine/host.ts';
import { formatAddress } from '../../src/text/address.ts';
import { readCorpus } from '../support/corpus.ts';

const folder = 'test/corpus/heads';
const now = Date.UTC(2025, 3, 1) / 1000;
const cases = readdirSync(folder).flatMap((name) => readCorpus(`${folder}/${name}`));

test.each(cases.flatMap((one) => (['wasm', 'plain'] as Build[]).map((build) => ({ build, ...one }))))(
  '$filter: $title, $build',
  async ({ build, filter = '', lines }) => {
    const jail = { filter, mode: '', maxretry: 1, findtime: 600, bantime: 600, ipv6Prefix: 128, ignore: [] };
    const engine = await Examiner.create({ build, jails: [jail], tableBytes: 0, now });
    for (const { line, address, user, pattern, reason } of lines) {
      const found = engine.examine(line, filter, '', now, false);
      expect(
        {
          outcome: found.outcome,
          pattern: found.pattern,
          address: found.address && formatAddress(found.address).replace(/\/(32|128)$/, ''),
          user: found.user && Buffer.from(found.user).toString(),
        },
        line.toString(),
      ).toEqual({ outcome: reason ?? 'failure', pattern, address, user });
    }
  },
);
