/**
 * Logs in unusual places: file systems that hang, tmpfs, overlay and bind mounts, a log whose
 * permission changes. In its own mount namespace (test/support/namespace.ts).
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FileSource } from '../../src/sources/file.ts';
import { CollectingSink } from '../support/collecting-sink.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { until } from '../support/until.ts';

function follow(patterns: string[]) {
  const sink = new CollectingSink();
  const errors: string[] = [];
  let sources = 0;
  const source = new FileSource({
    patterns,
    assign: (_path, _patterns, previous) => (previous >= 0 ? previous : sources++),
    release() {},
    now: () => 0,
    monotonic: () => performance.now(),
    drain() {},
    event: ({ kind, path, detail }) => kind === 'error' && errors.push(`${path}: ${detail}`),
    sink,
  });
  source.start();
  return { source, sink, errors };
}

/** Rotates a log in its directory by rename and by copytruncate, and reads it all. */
async function rotates(log: string): Promise<void> {
  const { source, sink } = follow([log]);
  appendFileSync(log, 'one\n');
  await until(() => sink.lines.length === 1, { what: `a line of ${log}` });
  renameSync(log, `${log}.1`);
  appendFileSync(log, 'two\n');
  await until(() => sink.lines.length === 2, { what: `a line after the rename of ${log}` });
  writeFileSync(log, '');
  await until(() => source.counters.truncations === 1, { what: 'the truncation' });
  appendFileSync(log, 'three\n');
  await until(() => sink.lines.length === 3, { what: 'a line after the truncation' });
  assert.deepEqual(sink.texts(), ['one', 'two', 'three']);
  source.stop();
}

/** A FUSE file system whose program never answers: every access blocks. */
function mountHanging(at: string): void {
  mkdirSync(at, { recursive: true });
  const mount = `exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hanging "$0"; exec sleep 600`;
  const holder = spawn('sh', ['-c', mount, at], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => holder.kill('SIGKILL'));
  execFileSync('sh', ['-c', `until grep -q " ${at} .* - fuse " /proc/self/mountinfo; do sleep 0.01; done`]);
}

const scenarios: Record<string, Scenario> = {
  async 'a mount that hangs'() {
    mountHanging('/run/far');
    mkdirSync('/run/logs');
    const log = '/run/logs/auth.log';
    writeFileSync(log, '');
    symlinkSync('/run/far/x.log', '/run/logs/link.log');
    symlinkSync('/run/far', '/run/logs/directory');
    const patterns = ['/run/far/auth.log', '/run/far/*.log', '/run/logs/directory/x.log', '/run/logs/*.log'];
    const { source, sink, errors } = follow([...patterns, log]);
    appendFileSync(log, 'one\n');
    await until(() => sink.lines.length === 1, { what: 'the line beside the mount that hangs' });
    // It may also appear later, where a link already leads.
    symlinkSync('/run/later/y.log', '/run/logs/later.log');
    mountHanging('/run/later');
    source.poll();
    appendFileSync(log, 'two\n');
    await until(() => sink.lines.length === 2, { what: 'the line beside the second mount' });
    for (const path of ['/run/far', '/run/logs/directory', '/run/logs/link.log']) {
      assert.ok(
        errors.some((error) => error.startsWith(`${path}: ${path} lies on /run/far, which is fuse`)),
        errors.join('\n'),
      );
    }
    source.stop();
    const config = '/run/fail2zig.toml';
    const jail = (name: string, more: string) => `[jails.${name}]\nfilter = "sshd"\n${more}\n`;
    writeFileSync(
      config,
      jail('near', 'logpath = "/run/logs/*.log"') + jail('far', 'logpath = "/run/far/x*/auth.log"'),
    );
    const said = execFileSync('bin/fail2zig', ['check', '--config', config], { encoding: 'utf8' });
    assert.match(said, /warning: \/run\/far\/x\*\/auth\.log lies on \/run\/far, which is fuse/);
  },

  async 'tmpfs, overlay and bind mounts'() {
    const mount = (...args: string[]) => execFileSync('mount', args);
    mkdirSync('/run/tmpfs');
    mount('-t', 'tmpfs', 'none', '/run/tmpfs');
    for (const name of ['lower', 'upper', 'work', 'merged', 'bound', 'origin']) mkdirSync(join('/run/tmpfs', name));
    writeFileSync('/run/tmpfs/lower/auth.log', 'old\n');
    mount(
      '-t',
      'overlay',
      'overlay',
      '-o',
      'lowerdir=/run/tmpfs/lower,upperdir=/run/tmpfs/upper,workdir=/run/tmpfs/work',
      '/run/tmpfs/merged',
    );
    mount('--bind', '/run/tmpfs/origin', '/run/tmpfs/bound');
    for (const place of ['/run/tmpfs', '/run/tmpfs/merged', '/run/tmpfs/bound']) await rotates(join(place, 'auth.log'));
  },

  async 'permission lost and regained'() {
    mkdirSync('/run/logs');
    const log = '/run/logs/auth.log';
    writeFileSync(log, 'old\n');
    chmodSync('/run', 0o755);
    process.setegid!(65_534);
    process.seteuid!(65_534);
    const { source, sink, errors } = follow([log]);
    const asRoot = (act: () => void): void => {
      process.seteuid!(0);
      act();
      process.seteuid!(65_534);
    };
    asRoot(() => {
      chmodSync(log, 0o600);
      appendFileSync(log, 'still open\n');
    });
    await until(() => sink.lines.length === 1, { what: 'a line of the file that is open' });
    asRoot(() => {
      renameSync(log, `${log}.1`);
      writeFileSync(log, 'new\n', { mode: 0o600 });
    });
    await until(() => errors.length === 1, { what: 'the refusal' });
    assert.match(errors[0]!, /EACCES/);
    asRoot(() => chmodSync(log, 0o644));
    await until(() => sink.lines.length === 2, { what: 'the line of the new file' });
    assert.deepEqual(sink.texts(), ['still open', 'new']);
    source.stop();
  },
};

await answerScenario(import.meta.filename, scenarios);
