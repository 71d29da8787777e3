/**
 * What the process of the running daemon is and does, according to the kernel: started by
 * process.test.ts, one scenario per process, in its own namespaces.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { coreFlags } from '../../src/commands/start.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { until } from '../support/until.ts';
import { nft, nftJson } from './topology.ts';

const directory = mkdtempSync('/run/process-');
const log = join(directory, 'auth.log');
writeFileSync(log, '');
let lines = 0;

function start(): Promise<Daemon> {
  const settings = `[firewall]
backend = "nftables"
[metrics]
port = 9100
[state]
path = "${directory}/state/state"
interval = "1s"
[jails.sshd]
logpath = "${log}"
maxretry = 1
`;
  return Daemon.start(directory, settings);
}

/** Writes failures of this many sources. Resolves when the kernel holds their bans. */
async function ban(daemon: Daemon, sources: number): Promise<void> {
  const { 'bans.total': before = 0 } = await daemon.stats();
  for (let i = 0; i < sources; i++) {
    const source = `198.18.${lines >> 8}.${lines++ & 255}`;
    const time = new Date().toISOString();
    appendFileSync(log, `${time} host sshd[${lines}]: Failed password for root from ${source} port 40022 ssh2\n`);
  }
  await until(async () => ((await daemon.stats())['bans.total'] ?? 0) >= before + sources, { what: 'the bans' });
}

/** The last process id in this namespace: it grows with each process and thread. */
const lastPid = (): number => Number(readFileSync('/proc/sys/kernel/ns_last_pid', 'latin1'));

export const scenarios: Record<string, Scenario> = {
  'bans, unbans and saves start no process and no thread': async () => {
    const daemon = await start();
    // Everything that a runtime starts only once has started by now.
    await ban(daemon, 20);
    await daemon.ban('sshd', '192.0.2.1', 600);
    await until(async () => ((await daemon.stats())['state.saves'] ?? 0) > 1, { what: 'two saves' });
    const before = lastPid();
    await ban(daemon, 50);
    await daemon.ban('sshd', '192.0.2.2', 600);
    await daemon.unban('192.0.2.2');
    const { 'state.saves': saves = 0 } = await daemon.stats();
    await until(async () => ((await daemon.stats())['state.saves'] ?? 0) > saves, { what: 'a save' });
    assert.equal(lastPid(), before, 'processes and threads since');
    assert.equal(await daemon.stop(), 0);
  },

  'no packet leaves for another host': async () => {
    const ip = (...words: string[]) => execFileSync('ip', words);
    ip('link', 'set', 'lo', 'up');
    ip('link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'out1');
    for (const name of ['out0', 'out1']) ip('link', 'set', name, 'up');
    ip('address', 'add', '192.0.2.254/24', 'dev', 'out0');
    ip('route', 'add', 'default', 'via', '192.0.2.1');
    ip('neigh', 'add', '192.0.2.1', 'lladdr', '02:00:00:00:00:01', 'dev', 'out0');
    nft('add', 'table', 'inet', 'watch');
    nft('add', 'chain', 'inet', 'watch', 'output', '{ type filter hook output priority 0; }');
    // The kernel's own packets on a new link are not connections.
    nft('add', 'rule', 'inet', 'watch', 'output', 'oifname', 'out0', 'meta', 'l4proto', '{ tcp, udp }', 'counter');
    const daemon = await start();
    await ban(daemon, 20);
    assert.equal(await daemon.stop(), 0);
    const seen = JSON.stringify(nftJson('list', 'chain', 'inet', 'watch', 'output'));
    assert.match(seen, /"counter":\{"packets":0,/, 'packets to other hosts');
  },

  'the core takes no code from text, no debugger, and nothing from the environment of its caller': async () => {
    process.env.NODE_OPTIONS = '--title=foreign';
    process.env.FOREIGN = 'yes';
    const daemon = await start();
    const environment = readFileSync(`/proc/${daemon.pid}/environ`, 'latin1');
    assert.doesNotMatch(environment, /NODE_OPTIONS|FOREIGN/, 'the environment of the core');
    const caught = /^SigCgt:\s+(\w+)$/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'latin1'))?.[1];
    assert.equal((BigInt(`0x${caught}`) >> 9n) & 1n, 0n, 'SIGUSR1 opens the debugger');
    const command = readFileSync(`/proc/${daemon.pid}/cmdline`, 'latin1').split('\0');
    for (const flag of coreFlags) assert.ok(command.includes(flag), `the core runs without ${flag}`);
    assert.equal(await daemon.stop(), 0);
    delete process.env.NODE_OPTIONS;
    const code = "try { new Function('return 1')(); } catch { process.exit(7); }";
    const { status } = spawnSync(process.execPath, [...coreFlags, '-e', code], { timeout: 20_000 });
    assert.equal(status, 7, 'text becomes code');
  },
};

await answerScenario(import.meta.filename, scenarios);
