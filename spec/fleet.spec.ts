/**
 * What fail2zig-fleet promises, the only process that talks to other hosts.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../test/support/control.ts';
import { assertNone } from './assertions.ts';
import { claim, given, twin } from './claim.ts';
import { importsOf, readTree, type SourceTree, withFile } from './source.ts';
import { outwardWays, withoutFleet } from './support/outward.ts';

/** Starts the process with a configuration; its exit status and what it said. */
type Start = (settings: string) => { status: number | null; said: string };

interface Fleet {
  tree: SourceTree;
  /** Path → text of what runs. */
  bundles: ReadonlyMap<string, string>;
  start: Start;
}

const url = 'http://127.0.0.1:9';
const settings: Record<string, string> = {
  'without [fleet]': '',
  'with [fleet] off': `[fleet]\nenabled = false\nurl = "${url}"\napi_key_file = "/nowhere"\n`,
};

function start(text: string): { status: number | null; said: string } {
  const directory = temporaryDirectory();
  try {
    const path = join(directory.path, 'fail2zig.toml');
    writeFileSync(path, text, { mode: 0o644 });
    const { status, stderr } = spawnSync('bin/fail2zig-fleet', ['--config', path], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    return { status, said: stderr };
  } finally {
    directory.remove();
  }
}

const answers = new Map<string, ReturnType<Start>>();

/** Each configuration is tried once, for body and twins. */
const startOnce: Start = (text) => {
  const answer = answers.get(text) ?? start(text);
  answers.set(text, answer);
  return answer;
};

const bundles = (): Map<string, string> =>
  new Map(
    readdirSync('dist')
      .filter((name) => name.endsWith('.cjs') && name !== 'fleet.cjs')
      .map((name) => [`dist/${name}`, readFileSync(join('dist', name), 'utf8')]),
  );

const source = readTree('src/**/*.ts');
/** Text that only the bundle of this process contains. */
const marks = ['/v1/decisions/stream', '/v1/watchers'];
const whole: Fleet = { tree: source, bundles: bundles(), start: startOnce };

/** Files of other rooms that import the one that reaches other hosts. */
function importers(tree: SourceTree): string[] {
  return [...tree].flatMap(([path, text]) =>
    importsOf(path, text)
      .filter(({ specifier }) => /\/fleet\/[a-z-]+\.ts$/.test(specifier) && !specifier.endsWith('config/fleet.ts'))
      .map(({ specifier }) => `${path}: ${specifier}`),
  );
}

claim(
  'X-fleet',
  given(whole),
  ({ tree, bundles, start }) => {
    const others = withoutFleet(tree);
    assertNone(outwardWays(others), 'ways to reach another host');
    assertNone(importers(others), 'files that import what reaches other hosts');
    assert.ok(bundles.size >= 4, `${bundles.size} bundles`);
    const holding = [...bundles].filter(([, text]) => marks.some((mark) => text.includes(mark))).map(([path]) => path);
    assertNone(holding, 'bundles that hold the code of fail2zig-fleet');
    for (const [how, text] of Object.entries(settings)) {
      const { status, said } = start(text);
      assert.equal(status, 78, `exit status ${how}`);
      assert.match(said, /nothing is connected to/, `what it says ${how}`);
    }
    return `${others.size} source files without a way to another host; ${bundles.size} bundles without its code; without [fleet] it ends at once`;
  },
  [
    twin(
      'a daemon that reports home',
      given<Fleet>({ ...whole, tree: withFile(source, 'src/observe/report.ts', 'spec/twins/reporting-home.ts') }),
      /ways to reach another host/,
    ),
    twin(
      'a client that asks the server itself',
      given<Fleet>({
        ...whole,
        tree: new Map(source).set('src/client/ask.ts', "import { Server } from '../fleet/server.ts';"),
      }),
      /files that import what reaches other hosts/,
    ),
    twin(
      'a core with the code of the fleet in it',
      given<Fleet>({
        ...whole,
        bundles: new Map(whole.bundles).set('dist/core.cjs', 'x="/v1/decisions/stream?startup="'),
      }),
      /bundles that hold the code/,
    ),
    twin(
      'a process that runs without [fleet]',
      given<Fleet>({ ...whole, start: () => ({ status: 0, said: 'info started url=https://lapi.example.net' }) }),
      /exit status without \[fleet\]/,
    ),
  ],
  { needs: ['built'], timeoutMs: 120_000 },
);
