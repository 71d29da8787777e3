/**
 * Another configuration while the daemon runs, on nftables in a namespace of its own. Started by
 * reload.test.ts, one scenario per process.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { responses } from '../../src/client/call.ts';
import { recordToHand } from '../../src/client/reload.ts';
import type { Reloaded } from '../../src/control/answers.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { until } from '../support/until.ts';
import { nftElements } from './topology.ts';

const client = join(import.meta.dirname, '../../bin/fail2zig-client');

/** A daemon with its configuration file, under the scenario's private /run. */
class Host {
  readonly directory = mkdtempSync('/run/reload-');
  readonly path = join(this.directory, 'fail2zig.toml');
  daemon!: Daemon;
  #lines = 0;

  log(name: string): string {
    return join(this.directory, `${name}.log`);
  }

  /** Jails by name, each with its own settings beside its log. */
  settings(jails: Record<string, string>, extra = ''): string {
    const tables = Object.entries(jails).map(([name, own]) => `[jails.${name}]\nfilter = "sshd"\n${own}\n`);
    return `[firewall]\nbackend = "nftables"\n[metrics]\nenabled = false\n${extra}\n${tables.join('')}`;
  }

  async start(jails: Record<string, string>, extra = ''): Promise<void> {
    for (const name of ['a', 'b', 'c']) writeFileSync(this.log(name), '');
    this.daemon = await Daemon.start(this.directory, this.settings(jails, extra));
  }

  /** As `Daemon.start` writes it. */
  write(settings: string): void {
    const state = `[state]\npath = "${join(this.directory, 'state', 'state')}"\n`;
    const control = `[control]\nsocket = "${this.daemon.socket}"\ngroup = "root"\n`;
    writeFileSync(this.path, `${control}${state}${settings}`, { mode: 0o600 });
  }

  /** Does here what the client's own process does. Returns the answer, or throws the refusal. */
  async reload(jails: Record<string, string>, extra = ''): Promise<Reloaded> {
    this.write(this.settings(jails, extra));
    const record = recordToHand(this.path);
    if ('problem' in record) throw new Error(record.problem);
    for await (const response of responses(this.daemon.socket, { verb: 'reload', args: {} }, { hand: record.hand })) {
      if (response.ok) return response.data as Reloaded;
      if (response.error.code === 'rate-limited') {
        await pause(100);
        return this.reload(jails, extra);
      }
      throw new Error(`${response.error.code}: ${response.error.message}\n${this.daemon.said.slice(-3).join('\n')}`);
    }
    throw new Error('no answer');
  }

  /** Failures of an address, each on a connection of its own. */
  fail(log: string, address: string, times = 1): void {
    for (let i = 0; i < times; i++) {
      const pid = 1_000 + this.#lines++;
      const text = `sshd[${pid}]: Failed password for root from ${address} port 40022 ssh2`;
      appendFileSync(this.log(log), `${new Date().toISOString()} host ${text}\n`);
    }
  }

  async banned(...bans: string[]): Promise<void> {
    const found = async () => [...(await this.daemon.bans()).keys()].sort().join();
    await until(async () => (await found()) === bans.sort().join(), { what: `exactly these bans: ${bans.join(', ')}` });
  }

  /** Everything that a refused reload must leave unchanged. */
  async picture(): Promise<string> {
    const { jails, problems } = await this.daemon.status();
    const rules = execFileSync('nft', ['-s', 'list', 'ruleset'], { encoding: 'utf8' });
    return JSON.stringify([jails, problems, [...(await this.daemon.bans()).keys()], rules]);
  }
}

export const scenarios: Record<string, Scenario> = {
  'jails come, go and change; windows and bans stay': async () => {
    const host = new Host();
    const a = `logpath = "${host.log('a')}"\nmaxretry = 3`;
    const b = `logpath = "${host.log('b')}"\nmaxretry = 1`;
    await host.start({ first: a, second: b });
    host.fail('a', '192.0.2.1', 2);
    host.fail('a', '192.0.2.2', 3);
    host.fail('b', '192.0.2.3');
    await host.banned('first 192.0.2.2', 'second 192.0.2.3');
    await until(async () => (await host.daemon.stats())['failures.total'] === 6);
    // Lines from before a jail began to read a log do not count, as at a start.
    host.fail('c', '192.0.2.9', 1);
    const c = `logpath = "${host.log('c')}"\nmaxretry = 1\nport = 80`;
    host.write(host.settings({ first: `${a}\nbantime = "2h"`, third: c }));
    const said = spawnSync(client, ['--socket', host.daemon.socket, 'reload', '--config', host.path], {
      encoding: 'utf8',
    });
    assert.equal(said.stdout, 'reloaded: added third; changed first; removed second\n', said.stderr);
    await host.banned('first 192.0.2.2');
    assert.deepEqual([...nftElements('fail2zig', 'ban4-first').keys()], ['192.0.2.2']);
    const { jails } = await host.daemon.status();
    assert.deepEqual(
      jails.map(({ jail, sources }) => [jail, sources]),
      [
        ['first', [host.log('a')]],
        ['third', [host.log('c')]],
      ],
    );
    const sets = execFileSync('nft', ['list', 'sets'], { encoding: 'utf8' });
    assert.ok(!sets.includes('ban4-second') && sets.includes('ban4-third'), sets);
    // The earlier window still counts, and the log of the removed jail is no longer read.
    host.fail('a', '192.0.2.1');
    host.fail('b', '192.0.2.4');
    host.fail('c', '192.0.2.5');
    await host.banned('first 192.0.2.2', 'first 192.0.2.1', 'third 192.0.2.5');
    const left = (await host.daemon.bans()).get('first 192.0.2.1')!;
    assert.ok(left > 3_600, `a ban of ${left} s has the new bantime`);
    await until(() => nftElements('fail2zig', 'ban4-first').size === 2);
    // A restart finds the same, also for a jail after a removed one.
    const now = { first: `${a}\nbantime = "2h"`, third: c };
    await host.reload({ ...now, fourth: b });
    await host.reload({ first: now.first, fourth: b });
    host.fail('b', '192.0.2.6');
    await host.banned('first 192.0.2.2', 'first 192.0.2.1', 'fourth 192.0.2.6');
    assert.equal(await host.daemon.stop(), 0);
    host.daemon = await Daemon.start(host.directory, host.settings({ first: now.first, fourth: b }));
    await host.banned('first 192.0.2.2', 'first 192.0.2.1', 'fourth 192.0.2.6');
    assert.ok(
      host.daemon.said.some((line) => line.includes('state loaded')),
      host.daemon.said.join('\n'),
    );
    await host.daemon.stop();
  },

  'what needs a restart is refused with the reason, and nothing is half applied': async () => {
    const host = new Host();
    mkdirSync('/run/elsewhere');
    const a = `logpath = "${host.log('a')}"`;
    await host.start({ first: `${a}\nmaxretry = 3` });
    host.fail('a', '192.0.2.2', 3);
    await host.banned('first 192.0.2.2');
    await until(() => nftElements('fail2zig', 'ban4-first').size === 1);
    const before = await host.picture();
    const many = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`jail${index}`, a]));
    const cases: [reason: RegExp, jails: Record<string, string>, extra?: string][] = [
      [/memory\.ceiling cannot change/, { first: a }, '[memory]\nceiling = "80MB"'],
      [
        /memory\.eviction_policy cannot change, since the table was made by it/,
        { first: a },
        '[memory]\neviction_policy = "deny_new"',
      ],
      [/log\.format cannot change/, { first: a }, '[log]\nformat = "json"'],
      [/confinement\.seccomp cannot change/, { first: a }, '[confinement]\nseccomp = "off"'],
      [/jail first has a maxretry above 6/, { first: `${a}\nmaxretry = 9` }],
      [/jail first has the first maxretry above 16/, { first: `${a}\nmaxretry = 99` }],
      [/jail first has the first findtime above 65535 s/, { first: `${a}\nfindtime = "1w"` }],
      [/jail first has another ipv6_prefix/, { first: `${a}\nipv6_prefix = 56` }],
      [/jail new has the first ipv6_prefix above 64/, { first: a, new: `${a}\nipv6_prefix = 128` }],
      [/18 jails are more than the 16 there is room for/, { first: a, ...many }],
      [/jail new: \/run\/elsewhere is outside/, { first: a, new: 'logpath = "/run/elsewhere/x.log"' }],
      [/jail new is the first that reads the journal/, { first: a, new: 'source = "journal"' }],
      // A valid change together with an invalid one is not applied either.
      [/memory\.ceiling cannot change/, { first: `${a}\nbantime = "2h"`, new: a }, '[memory]\nceiling = "80MB"'],
      [/unknown filter/, { first: `${a}\n[jails.second]\nfilter = "nothing"\n${a}` }],
    ];
    for (const [reason, jails, extra] of cases) await assert.rejects(host.reload(jails, extra), reason);
    assert.equal(await host.picture(), before);
    host.write('[jails');
    const said = spawnSync(client, ['--socket', host.daemon.socket, 'reload', '--config', host.path], {
      encoding: 'utf8',
    });
    assert.equal(said.status, 1);
    assert.match(said.stderr, /refused \(configuration\): the configuration cannot be used, nothing was changed/);
    // Nor does a configuration that does not exist change anything.
    const told = spawnSync(client, ['--socket', host.daemon.socket, 'reload', '--config', '/nowhere'], {
      encoding: 'utf8',
    });
    assert.equal(told.status, 1, told.stderr);
    assert.equal(await host.picture(), before);
    assert.deepEqual(await host.reload({ first: `${a}\nmaxretry = 3` }), { added: [], changed: [], removed: [] });
    assert.equal(await host.picture(), before);
    await host.daemon.stop();
    rmSync('/run/elsewhere', { recursive: true });
  },

  'under a steady writer every line counts once, no ban is dropped and memory stays': async () => {
    const reloads = Number(process.env.RELOADS ?? 50);
    const host = new Host();
    const a = `logpath = "${host.log('a')}"`;
    await host.start({ sshd: `${a}\nmaxretry = 3\nbantime = "5h"` });
    let written = 0;
    const address = (number: number): string => `198.18.${(number >> 8) & 15}.${number & 255}`;
    const writer = setInterval(() => {
      const lines = Array.from({ length: 10 }, () => {
        // Three failures of each source, one after the other and far apart.
        const number = written++;
        const source = Math.floor(number / 300) * 100 + (number % 100);
        const text = `sshd[${number + 100_000}]: Failed password for root from ${address(source)} port 40022 ssh2`;
        return `${new Date().toISOString()} host ${text}\n`;
      });
      appendFileSync(host.log('a'), lines.join(''));
    }, 10);
    const resident: number[] = [];
    const milliseconds: number[] = [];
    let bans = 0;
    for (let turn = 0; turn < reloads; turn++) {
      const change = [
        `maxretry = 3\nbantime = "${1 + (turn % 3)}h"`,
        `maxretry = 3\nbantime = "5h"\nignoreip = ["203.0.113.${turn % 200}"]`,
      ][turn % 2];
      const jails: Record<string, string> = { sshd: `${a}\n${change}\nport = ${22 + (turn % 2)}` };
      // Other jails come and go, on the same log and on others, each time with other numbers.
      for (const name of ['x', 'y', 'z'].slice(turn % 3))
        jails[`${name}${turn % 5}`] = `${a}\nmaxretry = 4\nfindtime = "${1 + (turn % 7)}m"`;
      if (turn % 4 === 1) jails.other = `logpath = ["${host.log('b')}", "${host.log('a')}"]\nmaxretry = 5`;
      const began = performance.now();
      await host.reload(jails);
      milliseconds.push(performance.now() - began);
      resident.push(host.daemon.resident().now);
      if (turn % 10 > 0) continue;
      const now = [...(await host.daemon.bans()).keys()].filter((ban) => ban.startsWith('sshd ')).length;
      assert.ok(now >= bans, `${now} bans after ${bans}`);
      bans = now;
    }
    await host.reload({ sshd: `${a}\nmaxretry = 3` });
    clearInterval(writer);
    const whole = Math.min(4_096, Math.floor(written / 300) * 100);
    await until(async () => (await host.daemon.stats())['failures.total'] === written, { what: `${written} failures` });
    await until(async () => (await host.daemon.bans()).size >= whole, { what: `${whole} bans` });
    await until(() => nftElements('fail2zig', 'ban4-sshd').size >= whole, { what: `${whole} bans in the kernel` });
    const middle = resident[Math.floor(reloads / 2)]!;
    await host.daemon.stop();
    milliseconds.sort((one, other) => one - other);
    const [median, longest] = [milliseconds[reloads >> 1], milliseconds.at(-1)];
    return {
      reloads,
      written,
      whole,
      median,
      longest,
      middle,
      last: resident.at(-1),
      most: Math.max(...resident),
      first: resident[0],
    };
  },
};

await answerScenario(import.meta.filename, scenarios);
