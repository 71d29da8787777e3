/**
 * The file source over the real engine, in both builds. The lines of an attack are spread over
 * rotations, truncations and several files, and the engine sees them line by line as if they were
 * in one file.
 */
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LINES } from '../../src/engine/counters.ts';
import { Engine } from '../../src/engine/host.ts';
import { FileSource } from '../../src/sources/file.ts';

const start = 1_763_687_728;

/** What happens between two failures of one address. */
type Between = 'nothing' | 'look' | 'rotate' | 'truncate' | 'noise' | 'long line';

const between = fc.array(fc.constantFrom<Between>('nothing', 'look', 'rotate', 'truncate', 'noise', 'long line'), {
  minLength: 4,
  maxLength: 24,
});

async function bannedAfter(
  build: 'wasm' | 'plain',
  happenings: Between[],
): Promise<{ decisions: number; lines: number }> {
  const home = mkdtempSync(join(tmpdir(), 'file-engine-'));
  const paths = [join(home, 'a.log'), join(home, 'b.log')];
  for (const path of paths) writeFileSync(path, '');
  const jail = {
    filter: 'sshd',
    mode: '',
    maxretry: happenings.length,
    findtime: 600,
    bantime: 600,
    ipv6Prefix: 64,
    ignore: [],
  };
  const engine = await Engine.create({ build, jails: [jail], tableBytes: 65_536, now: start, seed: [1, 2] });
  const route = engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]);
  let decisions = 0;
  let sources = 0;
  const source = new FileSource({
    patterns: paths,
    assign: () => {
      engine.openSource(sources, route);
      return sources++;
    },
    release() {},
    sink: engine,
    now: () => start,
    monotonic: () => performance.now(),
    drain: () => {
      engine.takeDecisions(() => decisions++);
    },
    event() {},
  });
  let lines = 0;
  try {
    source.start();
    for (const [index, happening] of happenings.entries()) {
      const path = paths[index % 2]!;
      const time = new Date((start - 60 + index) * 1000).toISOString();
      appendFileSync(
        path,
        `${time} host sshd[${1000 + index}]: Failed password for root from 192.0.2.7 port 4242 ssh2\n`,
      );
      lines++;
      if (happening === 'nothing') continue;
      if (happening === 'noise') {
        appendFileSync(path, 'some line\n'.repeat(500));
        lines += 500;
        continue;
      }
      if (happening === 'long line') {
        appendFileSync(path, `${'\0\x1b[31m'.repeat(10_000)}\n`);
        lines++;
        continue;
      }
      source.drain();
      if (happening === 'truncate') truncateSync(path, 0);
      if (happening === 'rotate') {
        renameSync(path, `${path}.${index}`);
        writeFileSync(path, '');
      }
    }
    source.drain();
    return { decisions, lines: engine.counter(LINES) - lines };
  } finally {
    source.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

test.each(['plain', 'wasm'] as const)(
  '%s: the ban comes with the last failure, whatever happens to the files',
  async (build) => {
    await fc.assert(
      fc.asyncProperty(
        between.filter((list) => list.length <= 16),
        async (happenings) => {
          expect(await bannedAfter(build, happenings)).toEqual({ decisions: 1, lines: 0 });
        },
      ),
      { numRuns: 25 },
    );
  },
);
