/**
 * native/readable.cc: the callback, the rest that it asks for, its failures, and the end of its
 * environment.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { native } from '../../src/native.ts';
import { IN_CREATE } from '../../src/sources/inotify.ts';
import { until } from '../support/until.ts';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'readable-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/**
 * A descriptor that becomes readable with the next file in `home`, and stays so unless it is read.
 */
function queue(): number {
  const descriptor = native.inotifyOpen();
  expect(native.inotifyAdd(descriptor, home, IN_CREATE)).toBeGreaterThan(0);
  onTestFinished(() => closeSync(descriptor));
  return descriptor;
}

let files = 0;
const happen = (): void => writeFileSync(join(home, String(files++)), '');
const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
};

test('is called as long as there is something to read, and not before or after', async () => {
  const descriptor = queue();
  let calls = 0;
  const end = native.whenReadable(descriptor, () => {
    if (++calls === 3) native.inotifyRead(descriptor, Buffer.alloc(4096));
    return 0;
  }) as () => void;
  await turns(20);
  expect(calls).toBe(0);
  happen();
  await until(() => calls === 3);
  await turns(20);
  expect(calls).toBe(3);
  end();
  happen();
  await turns(20);
  expect(calls).toBe(3);
  end();
});

test('rests for the time that it asked for, whatever there is to read, and is then called once more', async () => {
  const descriptor = queue();
  const order: string[] = [];
  const end = native.whenReadable(descriptor, () => {
    order.push('called');
    if (order.length > 1) return 60_000;
    // Both timers count from the same tick of the loop's clock, so that a slow machine cannot
    // change their order.
    setTimeout(() => order.push('20 ms later'), 20);
    return 30;
  }) as () => void;
  happen();
  await until(() => order.length >= 3);
  await turns(50);
  expect(order).toEqual(['called', '20 ms later', 'called']);
  end();
});

test('after a rest that found nothing it is called again with the next event', async () => {
  const descriptor = queue();
  let calls = 0;
  const end = native.whenReadable(descriptor, () => {
    native.inotifyRead(descriptor, Buffer.alloc(4096));
    return calls++ === 0 ? 5 : 0;
  }) as () => void;
  happen();
  await until(() => calls === 2);
  await turns(20);
  expect(calls).toBe(2);
  happen();
  await until(() => calls === 3);
  end();
});

test('refuses what is no descriptor', () => {
  expect(native.whenReadable(2 ** 30, () => 0)).toBe(-9);
  expect(() => native.whenReadable(-1, () => 0)).toThrow(TypeError);
});

/** Runs a module in a process of its own and returns its standard output. */
function run(source: string): string {
  const script = `import { native } from ${JSON.stringify(join(import.meta.dirname, '../../src/native.ts'))};\n${source}`;
  const file = join(home, 'script.mts');
  writeFileSync(file, script);
  return execFileSync(process.execPath, [file], { encoding: 'utf8', timeout: 20_000 });
}

test('a callback that throws is an uncaught exception, not the end of the queue', () => {
  const said = run(`
    import { writeFileSync } from 'node:fs';
    const descriptor = native.inotifyOpen();
    native.inotifyAdd(descriptor, ${JSON.stringify(home)}, ${IN_CREATE});
    let calls = 0;
    const end = native.whenReadable(descriptor, () => {
      if (++calls === 1) throw new Error('first');
      native.inotifyRead(descriptor, Buffer.alloc(4096));
      console.log('second');
      end();
      return 0;
    });
    process.on('uncaughtException', (error) => console.log(error.message));
    writeFileSync(${JSON.stringify(join(home, 'thrown'))}, '');`);
  expect(said).toBe('first\nsecond\n');
});

test('a thread ends in the middle of a callback', () => {
  const said = run(`
    import { writeFileSync } from 'node:fs';
    import { Worker, isMainThread, parentPort } from 'node:worker_threads';
    if (isMainThread) {
      for (const how of ['terminated', 'exited']) {
        const worker = new Worker(new URL(import.meta.url), { argv: [how] });
        // A thread may have ended before its last message is read.
        const gone = new Promise((resolve) => worker.once('exit', resolve));
        await new Promise((resolve) => worker.once('message', resolve));
        writeFileSync(${JSON.stringify(join(home, 'm'))} + how, '');
        await new Promise((resolve) => worker.once('message', resolve));
        if (how === 'terminated') worker.terminate();
        await gone;
        console.log(how);
      }
    } else {
      const descriptor = native.inotifyOpen();
      native.inotifyAdd(descriptor, ${JSON.stringify(home)}, ${IN_CREATE});
      native.whenReadable(descriptor, () => {
        parentPort.postMessage('in the callback');
        if (process.argv[2] === 'exited') process.exit(0);
        for (;;);
      });
      parentPort.postMessage('up');
    }`);
  expect(said).toBe('terminated\nexited\n');
});

test('threads and processes end while descriptors are watched, rested on and readable', () => {
  const said = run(`
    import { writeFileSync } from 'node:fs';
    import { Worker, isMainThread, parentPort } from 'node:worker_threads';
    const descriptor = native.inotifyOpen();
    native.inotifyAdd(descriptor, ${JSON.stringify(home)}, ${IN_CREATE});
    let rest = 0;
    native.whenReadable(descriptor, () => (rest = rest === 0 ? 5 : 0));
    if (isMainThread) {
      for (let thread = 0; thread < 6; thread++) {
        const worker = new Worker(new URL(import.meta.url));
        await new Promise((resolve) => worker.once('message', resolve));
        writeFileSync(${JSON.stringify(join(home, 'w'))} + thread, '');
        const ended = new Promise((resolve) => worker.once('exit', resolve));
        if (thread % 2 === 0) worker.terminate();
        else worker.postMessage('end');
        await ended;
      }
      console.log('all ended');
      process.exit(0);
    } else {
      parentPort.once('message', () => process.exit(0));
      parentPort.postMessage('up');
    }`);
  expect(said).toBe('all ended\n');
});
