/**
 * Builds are reproducible: two clean builds in directories of different depth, side by side on this
 * machine with its compilers, are the same. Other systems are not tried here.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../test/support/control.ts';
import { claim, given, twin } from './claim.ts';

/** File → its bytes. */
type Build = Map<string, Buffer>;
type Builds = () => Promise<[Build, Build]>;

const root = join(import.meta.dirname, '..');
const sources = ['src', 'native', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json'];
const run = promisify(execFile);

/** Ways in which the caller's environment may differ. */
const surroundings = [
  { LC_ALL: 'C', TZ: 'UTC', HOME: '/root' },
  { LC_ALL: 'C.UTF-8', TZ: 'Asia/Kolkata', HOME: '/nowhere' },
];

/** Copies the sources to a place and builds everything there. */
async function buildIn(place: string, surrounding: object): Promise<Build> {
  mkdirSync(place, { recursive: true });
  for (const name of sources) cpSync(join(root, name), join(place, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
  const { NODE_V8_COVERAGE: _, ...outer } = process.env;
  const env = { ...outer, ...surrounding };
  await run(process.execPath, ['scripts/native.mjs'], { cwd: place, env });
  await run(process.execPath, ['scripts/build.ts', '--force', '--quiet'], { cwd: place, env });
  const executable =
    "import('./scripts/package/executable.ts').then((built) => built.buildExecutable('dist/fail2zig'))";
  const bill =
    "import('./scripts/package/files.ts').then((built) => built.buildBillOfMaterials('dist/bill.cdx.json', 0))";
  await Promise.all([executable, bill].map((script) => run(process.execPath, ['-e', script], { cwd: place, env })));
  const files = ['build', 'dist'].flatMap((folder) =>
    readdirSync(join(place, folder)).map((name) => `${folder}/${name}`),
  );
  return new Map(files.sort().map((name) => [name, readFileSync(join(place, name))]));
}

let built: Promise<[Build, Build]> | undefined;

const builds: Builds = () => {
  built ??= (async () => {
    const directory = temporaryDirectory();
    try {
      const one = join(directory.path, 'a');
      const other = join(directory.path, 'another', 'place', 'of another', 'depth');
      return [await buildIn(one, surroundings[0]), await buildIn(other, surroundings[1])] as [Build, Build];
    } finally {
      directory.remove();
    }
  })();
  return built;
};

/** Builds whose second one carries something more in a file. */
const marked =
  (mark: () => string): Builds =>
  async () => {
    const [one, other] = await builds();
    return [
      one,
      new Map(
        [...other].map(([name, bytes]) => [
          name,
          name === 'dist/core.cjs' ? Buffer.concat([bytes, Buffer.from(mark())]) : bytes,
        ]),
      ),
    ];
  };

const digest = (bytes: Buffer | undefined): string =>
  createHash('sha256')
    .update(bytes ?? '')
    .digest('hex')
    .slice(0, 12);

const expected = [
  'build/engine-scalar.wasm',
  'build/engine.wasm',
  'build/fail2zig.node',
  'build/matchers.json',
  'dist/bill.cdx.json',
  'dist/client.cjs',
  'dist/core.cjs',
  'dist/fail2zig',
  'dist/ipset.cjs',
  'dist/iptables.cjs',
  'dist/journal.cjs',
  'dist/log-only.cjs',
  'dist/main.cjs',
  'dist/nftables.cjs',
  'dist/portable-events.cjs',
  'dist/start.cjs',
  'dist/xdp.cjs',
];

claim(
  ['E-04a', 'AU-2'],
  given(builds),
  async (build) => {
    const [one, other] = await build();
    for (const name of expected) assert.ok((one.get(name)?.length ?? 0) > 0, `${name} is not built`);
    assert.deepEqual([...one.keys()], [...other.keys()], 'files of two builds');
    for (const [name, bytes] of one) assert.ok(other.get(name)?.equals(bytes), `${name} differs between two builds`);
    const bytes = [...one.values()].reduce((sum, { length }) => sum + length, 0);
    return `${one.size} files, ${bytes} bytes, built twice in different directories of this machine: equal byte for byte; engine.wasm is ${digest(one.get('build/engine.wasm'))}…, the executable ${digest(one.get('dist/fail2zig'))}…`;
  },
  [
    twin(
      'a build that carries its directory',
      given(marked(() => `// ${import.meta.dirname}`)),
      /differs between two builds/,
    ),
    twin(
      'a build that leaves a file out',
      given<Builds>(async () => {
        const [one, other] = await builds();
        return [one, new Map([...other].filter(([name]) => name !== 'dist/core.cjs'))];
      }),
      /files of two builds/,
    ),
  ],
  { needs: ['linux', 'built'], timeoutMs: 900_000 },
);
