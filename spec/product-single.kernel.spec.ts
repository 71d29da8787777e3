/**
 * The single executable, in a root that contains nothing else.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { coreFlags } from '../src/commands/start.ts';
import { runScenario } from '../test/support/namespace.ts';
import { claim, given, NotMet, twin } from './claim.ts';
import type { Seen } from './support/single-executable.scenario.ts';

const file = join(import.meta.dirname, 'support', 'single-executable.scenario.ts');

/** What the executable does in its root, as a scenario of that file found it. */
type Run = () => Promise<Seen>;
const run =
  (name: string): Run =>
  async () =>
    (await runScenario(file, name)) as Seen;

/** The real run, which the claims share. */
let shared: Promise<Seen> | undefined;
const real: Run = () => {
  shared ??= run('real')();
  return shared;
};

const settings = { needs: ['linux', 'root', 'namespaces', 'built'] as const, timeoutMs: 120_000 };
const needs = { needs: [...settings.needs], timeoutMs: settings.timeoutMs };
const mebibytes = (kilobytes: number) => (kilobytes / 1024).toFixed(1);

function bans({ banned, errors }: Seen): void {
  assert.deepEqual({ banned, errors }, { banned: true, errors: [] }, 'the executable does not ban in its root');
}

claim(
  'LP-01',
  given(real),
  async (start) => {
    const seen = await start();
    bans(seen);
    assert.match(seen.client, /^fail2zig-client \d/, 'called fail2zig-client it is not the client');
    assert.deepEqual(seen.flags, coreFlags, 'the core does not run with its flags');
    const megabytes = (seen.bytes / 1e6).toFixed(0);
    return `one file of ${megabytes} MB is the daemon and, by its name, the client; started after ${seen.startCpuMilliseconds} ms of processor time, ${seen.slots} slots, peak ${mebibytes(seen.peakKilobytes)} MiB`;
  },
  [twin('an executable without the client', given(run('no client')), /is not the client/)],
  needs,
);

async function judgeRoot(start: Run): Promise<Seen> {
  const seen = await start();
  bans(seen);
  return seen;
}

claim(
  ['LP-09', 'WHY-05'],
  given(real),
  async (start) => {
    const { libraries } = await judgeRoot(start);
    return new NotMet(
      `bans in a root of one executable, ${libraries.length} libraries of glibc and GCC (${libraries.join(', ')}) and /proc; no build for musl, OpenWrt or BSD`,
    );
  },
  [twin('a root without a library that it links', given(run('no libm')), /does not ban in its root/)],
  needs,
);

claim(
  'LP-42',
  given(real),
  async (start) => {
    const { capabilities } = await judgeRoot(start);
    const held = BigInt(`0x${capabilities}`);
    const [networkAdmin, changeRoot] = [1n << 12n, 1n << 18n];
    assert.equal(held & ~changeRoot, networkAdmin, 'capabilities beside CAP_NET_ADMIN');
    return 'bans with CAP_NET_ADMIN alone (and CAP_SYS_CHROOT, which the test entered its root with)';
  },
  [twin('without CAP_NET_ADMIN', given(run('no right')), /does not ban in its root/)],
  needs,
);

claim(
  'WHY-06',
  given(real),
  async (start) => {
    const { mapped, libraries } = await judgeRoot(start);
    const strange = mapped.filter((path) => !/^\/memfd:fail2zig-addon|^\/proc\/|^\/\[/.test(path));
    assert.deepEqual(strange, [], 'files mapped that are no part of it');
    return new NotMet(
      `the running core maps its executable, the ${libraries.length} libraries that it links and its own addon, from a sealed memory file; it is linked dynamically and runs on V8`,
    );
  },
  [twin('a library loaded beside it', given(run('a strange library')), /files mapped that are no part of it/)],
  needs,
);
