/**
 * A copy of the tree in which one breakage at a time is tried, and the order of its judges: the
 * bodies of the claims that promise it, which take seconds; the whole claims, over the build; the
 * tests that it names; and, if thorough, every specification or test that reaches the changed file.
 *
 * A breakage of the engine is judged over engines that are built without optimisation: they behave
 * the same, and building them takes an eighth of the time.
 */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { reaches } from '../../spec/source.ts';
import { applyChanges, plainEngine } from '../../spec/support/broken.ts';
import { type Breakage, broken } from '../../test/sabotage/breakage.ts';
import { type Outcome, specificationsOf } from '../verify.ts';
import type { Control, Verdict } from './record.ts';

/** Time limit of a judge, ms: a breakage may make it hang. */
const judgeMs = 600_000;
/** A body without its twins. */
const bodyMs = 120_000;
const startMs = 30_000;

const built = ['build/fail2zig.node', 'build/engine.wasm', 'build/engine-scalar.wasm', 'build/matchers.json', 'dist'];
const linked = ['node_modules', '.git', 'build/tools'];

interface Ended {
  /** null: it did not end. */
  status: number | null;
  out: string;
}

type Finding = Pick<Verdict, 'noticedBy' | 'by'>;

/** Runs a program to its end, or stops its process group after so many ms. */
function run(cwd: string, args: string[], withinMs = judgeMs): Promise<Ended> {
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  return new Promise((resolve) => {
    const late = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), withinMs);
    child.on('close', (status) => {
      clearTimeout(late);
      resolve({ status, out: Buffer.concat(parts).toString() });
    });
  });
}

/** What a failed judge said, short enough for a table. */
const short = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, 160);

export class Scratch {
  readonly #folder: string;
  readonly #root: string;
  #control: Control = { claims: [], tests: [] };

  constructor(root: string, number: number, files: readonly string[]) {
    this.#root = root;
    this.#folder = join(root, 'build/sabotage', String(number));
    rmSync(this.#folder, { recursive: true, force: true });
    for (const path of files) this.#copy(path);
    this.#copyBuilt();
    for (const name of linked) {
      if (existsSync(join(root, name))) symlinkSync(join(root, name), join(this.#folder, name));
    }
  }

  #copy(path: string): void {
    const [from, to] = [join(this.#root, path), join(this.#folder, path)];
    if (!existsSync(from)) return;
    mkdirSync(dirname(to), { recursive: true });
    cpSync(from, to, { preserveTimestamps: true });
  }

  /**
   * Copies the build with times as new as the copy, so that only what a breakage affects is
   * rebuilt.
   */
  #copyBuilt(): void {
    for (const name of built) cpSync(join(this.#root, name), join(this.#folder, name), { recursive: true });
  }

  /** Claims and tests whose failures prove nothing, because they fail without a breakage. */
  believe(control: Control): void {
    this.#control = control;
  }

  /**
   * Which of the claims and test files fail here without a breakage, alone as well as together;
   * those of `engine` also over engines without optimisation.
   */
  async control(claims: readonly string[], engine: readonly string[], tests: readonly string[]): Promise<Control> {
    const failed = await this.#failedClaims(claims);
    if (engine.length > 0) {
      for (const build of ['build/engine.wasm', 'build/engine-scalar.wasm']) rmSync(join(this.#folder, build));
      await this.#build('src/engine/engine.ts', true);
      failed.push(...(await this.#failedClaims(engine)));
      this.#copyBuilt();
    }
    const failedTests: string[] = [];
    if (await this.#testsFail(tests)) {
      for (const file of tests) if (await this.#testsFail([file])) failedTests.push(file);
    }
    return { claims: [...new Set(failed)].sort(), tests: failedTests };
  }

  async try(breakage: Breakage, path: string, thorough: boolean): Promise<Finding> {
    const file = join(this.#folder, path);
    const whole = readFileSync(file, 'utf8');
    const { atime, mtime } = statSync(file);
    try {
      writeFileSync(file, broken(whole, breakage));
      return await this.#judge(breakage, path, thorough);
    } finally {
      writeFileSync(file, whole);
      utimesSync(file, atime, mtime);
      this.#copyBuilt();
    }
  }

  async #judge({ claims, tests = [] }: Breakage, path: string, thorough: boolean): Promise<Finding> {
    const soon = await this.#failingBody(claims, path);
    if (soon !== '') return { noticedBy: 'its claim', by: short(soon) };
    if (!(await this.#build(path, path.startsWith('src/engine/')))) return { noticedBy: 'the build', by: '' };
    const believed = this.#believed(tests);
    const [promised] = await this.#failures(claims.filter((id) => !this.#control.claims.includes(id)));
    if (promised !== undefined) return { noticedBy: 'its claim', by: promised };
    if (await this.#testsFail(believed)) return { noticedBy: 'tests', by: believed.join(' ') };
    if (!thorough) return { noticedBy: 'nobody', by: '' };
    const [found] = await this.#failures(['--changed']);
    if (found !== undefined) return { noticedBy: 'another claim', by: found };
    const reaching = this.#believed(this.#testsThatReach(path));
    const noticed = await this.#testsFail(reaching);
    return noticed ? { noticedBy: 'tests', by: 'one that reaches the file' } : { noticedBy: 'nobody', by: '' };
  }

  /**
   * `ID: assertion` of the first body that fails over the sources as they are, the plain engine
   * among them; '' where none does, which proves nothing: what is built may tell more.
   */
  async #failingBody(claims: readonly string[], path: string): Promise<string> {
    const host = join(this.#folder, plainEngine.path);
    const whole = readFileSync(host, 'utf8');
    const isEngine = path.startsWith('src/engine/');
    if (isEngine) applyChanges(this.#folder, [plainEngine]);
    try {
      const ids = claims.filter((id) => !this.#control.claims.includes(id));
      for (const specification of specificationsOf(ids).filter((file) => !file.includes('.kernel.'))) {
        const { out } = await run(this.#folder, ['scripts/sabotage/bodies.ts', specification, ...ids], bodyMs);
        if (out !== '') return out;
      }
      return '';
    } finally {
      if (isEngine) writeFileSync(host, whole);
    }
  }

  #believed(tests: readonly string[]): string[] {
    return tests.filter((file) => !this.#control.tests.includes(file));
  }

  /** Builds what depends on a file; false if that fails. */
  async #build(path: string, unoptimized: boolean): Promise<boolean> {
    if (/^(native|scripts)\//.test(path) && (await run(this.#folder, ['scripts/native.mjs'])).status !== 0)
      return false;
    if (!/^(src|scripts)\//.test(path)) return true;
    const flags = unoptimized ? ['--unoptimized'] : [];
    return (await run(this.#folder, ['scripts/build.ts', '--quiet', ...flags])).status === 0;
  }

  /** `ID: assertion` of each claim that fails; the run ends with the first one, or not. */
  async #failures(selection: readonly string[], first = true): Promise<string[]> {
    if (selection.length === 0) return [];
    const flags = ['--json', '--allow-skips', ...(first ? ['--first'] : [])];
    const { out } = await run(this.#folder, ['scripts/verify.ts', ...flags, ...selection]);
    // What it says, not its status: verify may be what is broken.
    const reasons = failuresIn(out, this.#control.claims);
    // One that says nothing may have lacked memory or time: that proves nothing of the breakage.
    if (reasons === undefined) return (await this.#starts()) ? [] : ['the program does not start'];
    // A twin with a breakage of its own over this one has noticed nothing: its body passed before.
    const real = reasons.filter((reason) => !/^\S+ (?:breakage "|a change of |twin "a tree in which )/.test(reason));
    if (first && real.length === 0 && reasons.length > 0) return this.#failures(selection, false);
    return real.map(short);
  }

  /** Whether the program and its addon can be loaded. */
  async #starts(): Promise<boolean> {
    const loads = [
      ['dist/main.cjs', '--version'],
      ['-e', "require('./build/fail2zig.node')"],
    ];
    for (const each of loads) if ((await run(this.#folder, each, startMs)).status !== 0) return false;
    return true;
  }

  /** The claims that fail together, and alone once more. */
  async #failedClaims(ids: readonly string[]): Promise<string[]> {
    const together = (await this.#failures(ids, false)).map((line) => line.split(':', 1)[0]!);
    const alone: string[] = [];
    for (const id of ids.filter((each) => together.includes(each))) {
      if ((await this.#failures([id])).length > 0) alone.push(id);
    }
    return alone;
  }

  async #testsFail(files: readonly string[]): Promise<boolean> {
    if (files.length === 0) return false;
    return (await run(this.#folder, ['node_modules/vitest/vitest.mjs', 'run', '--bail=1', ...files])).status !== 0;
  }

  #testsThatReach(path: string): string[] {
    const changed = new Set([path]);
    const files = globSync('test/{unit,property,corpus}/**/*.test.ts', { cwd: this.#root });
    return files.filter((file) => reaches(file, changed));
  }
}

/**
 * `ID: assertion` of the claims that failed, but for `unheard` ones, and what else went wrong, as
 * verify printed it for machines; undefined where it printed nothing of use.
 */
export function failuresIn(out: string, unheard: readonly string[] = []): string[] | undefined {
  let report: { claims: Outcome[]; troubles: string[] };
  try {
    report = JSON.parse(out);
  } catch {
    return undefined;
  }
  const failed = report.claims.filter(({ id, status }) => status === 'FAILED' && !unheard.includes(id));
  return [...failed.map(({ id, evidence }) => `${id}: ${evidence}`), ...report.troubles];
}
