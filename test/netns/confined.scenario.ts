/**
 * What the core of the running daemon may still do, according to the kernel: started by
 * confined.test.ts, one scenario per process, in its own namespaces.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { attemptWith } from '../support/attempt.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { fileAttempts } from '../support/raw-calls.ts';

/** CAP_DAC_READ_SEARCH and CAP_NET_ADMIN. */
const most = 0x1004n;

/** Fields of /proc of each thread of a process. */
function threadsOf(pid: number): Map<string, string>[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((thread) => {
    const lines = readFileSync(`${tasks}/${thread}/status`, 'latin1').split('\n');
    return new Map(lines.map((line) => line.split(/:\s*/, 2) as [string, string]));
  });
}

export const scenarios: Record<string, Scenario> = {
  'no thread holds more than the core needs, or can gain it': async () => {
    // The caller has groups and capabilities that must be dropped.
    process.setgroups!([0, 4, 42]);
    const directory = mkdtempSync('/run/confined-');
    const settings = `[firewall]\nbackend = "nftables"\n[metrics]\nenabled = false\n[jails.sshd]\nlogpath = "${directory}/auth.log"\n`;
    const daemon = await Daemon.start(directory, settings);
    const threads = threadsOf(daemon.pid);
    assert.ok(threads.length > 3, 'threads');
    for (const status of threads) {
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
        assert.equal(BigInt(`0x${status.get(set)}`) & ~most, 0n, `${set} of a thread holds more`);
      }
      assert.equal(status.get('NoNewPrivs'), '1', 'a thread may gain privileges');
      assert.equal(status.get('Seccomp'), '2', 'a thread without a filter');
      assert.equal(status.get('Groups')?.trim(), '0', 'groups of a thread');
    }
    assert.equal(await daemon.stop(), 0);
  },

  'Landlock alone leaves the logs, the own directories and nothing to run': async () => {
    const attempt = attemptWith('[confinement]\nseccomp = "off"\n');
    for (const [name, { ending }] of Object.entries(fileAttempts)) {
      assert.equal(await attempt(name), ending, `${name}: how it ends`);
    }
  },
};

await answerScenario(import.meta.filename, scenarios);
