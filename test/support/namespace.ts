/**
 * Runs kernel work away from the machine: a scenario file is started in its own network, mount and
 * process namespaces, which vanish with its process. vitest's own process never enters one. A
 * scenario answers with one line of JSON.
 */
import { spawn } from 'node:child_process';

/** A named piece of kernel work. It throws if something is wrong, and may return facts to show. */
export type Scenario = () => Promise<unknown>;

/** How long a scenario may take, ms: generous, only a hang reaches it. */
const scenarioMilliseconds = 90_000;

/**
 * Runs one scenario of `file` and resolves to what it returned. If it failed, rejects with all that
 * it printed.
 */
export async function runScenario(file: string, name: string): Promise<unknown> {
  const setUp = 'mount -t tmpfs none /run && mount -t proc none /proc && exec "$0" "$@"';
  const child = spawn(
    'unshare',
    ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', setUp, process.execPath, file, name],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), scenarioMilliseconds);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(timer);
  if (code !== 0) throw new Error(`scenario "${name}" ended with ${code}\n${errors}${output}`);
  return JSON.parse(output.trim().split('\n').at(-1) ?? 'null');
}

/**
 * The scenario file's side: runs the one named on the command line when `file` is what was started.
 */
export async function answerScenario(file: string, scenarios: Record<string, Scenario>): Promise<void> {
  if (process.argv[1] !== file) return;
  const scenario = scenarios[process.argv[2] ?? ''];
  if (!scenario) throw new Error(`no scenario "${process.argv[2]}"`);
  const facts = await scenario();
  process.stdout.write(`${JSON.stringify(facts ?? null)}\n`, () => process.exit(0));
}
