/**
 * The plain engine with its memory accesses counted: the same source files, loaded a second time
 * with counting primitives below them. Work does not depend on a machine's load.
 */
import { registerHooks } from 'node:module';
import type { EngineOptions } from '../../src/engine/host.ts';
import { takeSteps } from './counted-linear.ts';

const mark = '?counted';
const linear = new URL('./counted-linear.ts', import.meta.url).href;
/** Of this tree: a claim may run over a copy of it in the same process (broken.ts). */
const room = new URL('../../src/engine/', import.meta.url).href;
let hooked = false;

/**
 * Whatever a marked file of the engine imports is marked too; its primitives are the counting ones.
 */
function hook(): void {
  if (hooked) return;
  hooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const { parentURL = '' } = context;
      if (!parentURL.startsWith(room) || !parentURL.endsWith(mark)) return next(specifier, context);
      if (specifier === '#linear' || specifier === './linear.ts') return { url: linear, shortCircuit: true };
      const found = next(specifier, context);
      return found.url.startsWith(room) ? { ...found, url: found.url + mark } : found;
    },
  });
}

/** An engine of the plain build, and the steps of its calls since the last time. */
export async function countedEngine(options: Omit<EngineOptions, 'build'>) {
  hook();
  const path = new URL('../../src/engine/examiner.ts', import.meta.url).href + mark;
  const { Examiner } = (await import(path)) as typeof import('../../src/engine/examiner.ts');
  const engine = await Examiner.create({ ...options, build: 'plain' });
  takeSteps();
  return { engine, takeSteps };
}
