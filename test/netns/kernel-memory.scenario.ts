/**
 * Kernel memory of bans, in a control group with a limit: a daemon with a limit of bans survives an
 * attack that would otherwise get it killed, and survives a kill and a restart. `KERNEL_SOURCES`
 * sources attack; run by kernel-memory.test.ts.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { ControlGroup } from '../support/control-group.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { until } from '../support/until.ts';
import { nftElements } from './topology.ts';

const sources = Number(process.env.KERNEL_SOURCES ?? 60_000);
const bansMax = 10_000;
/** Like a unit with MemoryMax=80M: unlimited bans do not fit beside the ceiling of 64 MB. */
const limitBytes = 80 * 1024 * 1024;
const timeout = { withinMs: 60_000 };
const held = (): number => nftElements('fail2zig', 'ban4-sshd').size;

function attack(log: string, first: number, count: number): void {
  let text = '';
  const time = new Date().toISOString();
  for (let n = first; n < first + count; n++) {
    const address = `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
    text += `${time} host sshd[${n + 1}]: Failed password for root from ${address} port 40022 ssh2\n`;
  }
  appendFileSync(log, text);
}

export const scenarios: Record<string, Scenario> = {
  'a daemon under a memory limit outlives more bans than fit, a kill and a restart': async () => {
    const group = ControlGroup.make(`fail2zig-test-${process.pid}`, limitBytes);
    if (typeof group === 'string') return { skipped: group };
    const directory = mkdtempSync('/run/kernel-memory-');
    const log = join(directory, 'auth.log');
    writeFileSync(log, '');
    const settings = `[firewall]
backend = "nftables"
bans_max = ${bansMax}
[metrics]
enabled = false
[jails.sshd]
logpath = "${log}"
maxretry = 1
bantime = "1h"
`;
    let daemon = await group.inside(() => Daemon.start(directory, settings));
    const decided = async (): Promise<number> => (await daemon.stats())['decisions.total']!;
    let most = 0;
    for (let first = 0; first < sources; first += 10_000) {
      attack(log, first, 10_000);
      await until(async () => (await decided()) >= first + 10_000, { ...timeout, what: 'the next decisions' });
      most = Math.max(most, held());
    }
    await until(async () => (await daemon.stats())['bans.total'] === sources, { ...timeout, what: 'all bans' });
    const { 'bans.lifted': lifted, 'memory.kernel_bytes': kernelBytes } = await daemon.stats();
    assert.ok(most <= bansMax && held() > bansMax * 0.9, `${most} at most, ${held()} in the kernel`);
    assert.ok(lifted! >= sources - bansMax && lifted! < sources, `${lifted} made room`);
    assert.ok(kernelBytes! <= bansMax * 70 && kernelBytes! > 0, `${kernelBytes} bytes are shown`);
    await daemon.kill();
    daemon = await group.inside(() => Daemon.start(directory, settings));
    attack(log, sources, 1_000);
    await until(async () => (await decided()) >= 1_000, { ...timeout, what: 'decisions after the restart' });
    await until(async () => (await daemon.stats())['bans.lifted']! > 0, { ...timeout, what: 'room after the restart' });
    await until(() => held() <= bansMax, { ...timeout, what: 'no more than it may hold after a restart' });
    assert.equal(group.kills, 0, 'killed at the limit');
    const { peakBytes } = group;
    assert.ok(peakBytes < limitBytes, `${peakBytes} bytes of ${limitBytes}`);
    assert.equal(await daemon.stop(), 0);
    group.remove();
    return { most, lifted: lifted!, peakBytes };
  },
};

await answerScenario(import.meta.filename, scenarios);
