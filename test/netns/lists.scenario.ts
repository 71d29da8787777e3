/**
 * Lists of addresses in the real daemon, on nftables in a namespace of its own. Started by
 * lists.test.ts, one scenario per process.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { until } from '../support/until.ts';
import { attackerV4, attackerV6, hostV4, hostV6, network, nft, nftJson } from './topology.ts';

const table = 'fail2zig';
const program = join(import.meta.dirname, '../../bin/fail2zig-client');

/** A daemon whose list is under the scenario's private /run. */
class Host {
  readonly directory = mkdtempSync('/run/lists-');
  readonly folder = join(this.directory, 'lists');
  readonly file = join(this.folder, 'drop.txt');
  daemon!: Daemon;

  constructor() {
    mkdirSync(this.folder);
  }

  write(...lines: string[]): void {
    writeFileSync(this.file, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  }

  /** Like a program that fetches a list. */
  replace(...lines: string[]): void {
    writeFileSync(`${this.file}.new`, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
    renameSync(`${this.file}.new`, this.file);
  }

  async start(extra = ''): Promise<void> {
    const settings = `[firewall]\nbackend = "nftables"\n[metrics]\nenabled = false\n[[list]]\nfile = "${this.file}"\n${extra}`;
    this.daemon = await Daemon.start(this.directory, settings);
  }

  /** The content of the kernel's sets of lists, by name. */
  held(): Record<string, string[]> {
    let found: Record<string, unknown>[];
    try {
      found = nftJson('list', 'table', 'inet', table).nftables;
    } catch {
      // Another program has just removed it.
      return {};
    }
    const sets = found.flatMap((each) => ('set' in each ? [each.set as { name: string; elem?: unknown[] }] : []));
    const ofLists = sets.filter(({ name }) => /^(list|ignored)/.test(name));
    return Object.fromEntries(ofLists.map(({ name, elem = [] }) => [name, elem.map(String).sort()] as const).sort());
  }

  async holds(expected: Record<string, string[]>): Promise<void> {
    const wanted = JSON.stringify(expected);
    try {
      await until(() => JSON.stringify(this.held()) === wanted, {
        withinMs: 45_000,
        what: 'exactly what the list says',
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${JSON.stringify(this.held())}\n${this.daemon.said.join('\n')}`);
    }
  }
}

const first = {
  'list4-24-lists': ['198.51.100.0'],
  'list4-32-lists': [attackerV4[0], '203.0.113.9'],
  'list6-128-lists': [attackerV6[0]],
  'list6-48-lists': ['2001:db8:7::'],
};
const lines = [
  '# bad neighbours',
  '',
  `${attackerV4[0]}\r`,
  '203.0.113.9 # twice',
  '203.0.113.9',
  '198.51.100.0/24 ; a network',
  attackerV6[0],
  '2001:db8:7::/48',
];

export const scenarios: Record<string, Scenario> = {
  'drops what a list names, and answers its neighbours': async () => {
    const prober = await network(2222, 8080);
    const host = new Host();
    host.write(...lines);
    await host.start();
    await host.holds(first);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await prober.answered(attackerV4[1], hostV4, 2222);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.answered(attackerV6[1], hostV6, 2222);
    assert.deepEqual((await host.daemon.status()).problems, []);
    const { jails } = await host.daemon.status();
    assert.deepEqual(
      jails.map(({ bansActive }) => bansActive),
      [0],
      'bans in the table',
    );
  },

  'follows a list that is replaced, written in place, removed and made anew': async () => {
    await network(2222);
    const host = new Host();
    host.write(...lines);
    await host.start();
    await host.holds(first);
    host.replace(attackerV4[1], '203.0.112.0/23', '2001:db8:7::/48');
    await host.holds({
      'list4-23-lists': ['203.0.112.0'],
      'list4-32-lists': [attackerV4[1]],
      'list6-48-lists': ['2001:db8:7::'],
    });
    host.write(...lines);
    await host.holds(first);
    rmSync(host.file);
    const problems = async (pattern: RegExp) =>
      until(async () => (await host.daemon.status()).problems.some((each) => pattern.test(each)), {
        what: `${pattern}`,
        withinMs: 45_000,
      });
    await problems(/drop\.txt: cannot be opened: no such file .*what it held before goes on/);
    await host.holds(first);
    host.write(attackerV4[2]);
    await host.holds({ 'list4-32-lists': [attackerV4[2]] });
    host.write(attackerV4[0], '203.0.113.300', 'example.com');
    await problems(/drop\.txt:2: "203\.0\.113\.300" is not an address or prefix \(write 192\.0\.2\.7/);
    await host.holds({ 'list4-32-lists': [attackerV4[2]] });
    host.write();
    await host.holds({});
    await until(async () => (await host.daemon.status()).problems.length === 0, { what: 'no problem' });
  },

  'starts without a list that is wrong, and brings it when it is right': async () => {
    const prober = await network(2222);
    const host = new Host();
    host.write(...lines, 'example.com');
    await host.start();
    await host.holds({});
    await until(async () => /drop\.txt:9: "example\.com"/.test((await host.daemon.status()).problems.join()), {
      what: 'the problem',
    });
    host.replace(...lines);
    await host.holds(first);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    assert.deepEqual((await host.daemon.status()).problems, []);
  },

  'holds a list over a stop, brings what changed meanwhile, and repairs what others took away': async () => {
    await network(2222);
    const host = new Host();
    host.write(...lines);
    await host.start();
    await host.holds(first);
    await host.daemon.stop();
    assert.deepEqual(host.held(), first, 'what the kernel holds when the daemon has ended');
    host.replace(...lines, attackerV4[2]);
    await host.start();
    const second = { ...first, 'list4-32-lists': [attackerV4[0], attackerV4[2], '203.0.113.9'].sort() };
    await host.holds(second);
    nft('delete', 'element', 'inet', table, 'list4-32-lists', `{ ${attackerV4[0]} }`);
    nft('add', 'element', 'inet', table, 'list4-24-lists', '{ 203.0.113.0 }');
    await host.holds(second);
    nft('flush', 'ruleset');
    await host.holds(second);
  },

  'lets pass what a list has ignored, and never bans it': async () => {
    const prober = await network(2222, 8080);
    const host = new Host();
    const other = join(host.folder, 'ours.txt');
    host.write('192.0.2.0/24');
    writeFileSync(other, `${attackerV4[1]}\n`, { mode: 0o600 });
    await host.start(`[[list]]\nfile = "${other}"\nuse = "ignore"\n`);
    await host.holds({ 'ignored4-32': [attackerV4[1]], 'list4-24-lists': ['192.0.2.0'] });
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await prober.answered(attackerV4[1], hostV4, 2222);
    await assert.rejects(host.daemon.ban('lists', attackerV4[1], 60), /is ignored by a list/);
    host.write();
    await host.daemon.ban('lists', attackerV4[2], 60);
    writeFileSync(other, `${attackerV4[1]}\n192.0.2.8/29\n`, { mode: 0o600 });
    const active = async () => (await host.daemon.status()).jails[0]!.bansActive;
    await until(async () => (await active()) === 0, { withinMs: 45_000, what: 'the end of its ban' });
    await prober.answered(attackerV4[2], hostV4, 2222);
    const { lists = [] } = await host.daemon.status();
    assert.deepEqual(lists, [`${host.file}: 0 entries, banned in lists`, `${other}: 2 entries, ignored`]);
  },

  'tells which file and line names an address': async () => {
    await network(2222);
    const host = new Host();
    host.write(...lines);
    await host.start();
    await host.holds(first);
    const client = (...words: string[]): string =>
      execFileSync(program, ['--socket', host.daemon.socket, ...words], { encoding: 'utf8' });
    assert.match(client('why', '203.0.113.9'), /in a list: .*drop\.txt:4 to 5: 203\.0\.113\.9, banned in lists/);
    assert.match(client('why', '198.51.100.77'), /in a list: .*drop\.txt:6: 198\.51\.100\.0\/24, banned in lists/);
    // A ban by hand of a listed address is shown beside the list.
    await host.daemon.ban('lists', '203.0.113.9', 600);
    assert.match(
      client('unban', '203.0.113.9'),
      /^unbanned 203\.0\.113\.9 in lists\n203\.0\.113\.9 is in a list: .*drop\.txt:4 to 5: .*take it out there\n$/,
    );
    assert.match(client('list', 'lists'), /lists +203\.0\.113\.9 +never +permanent +list drop\.txt/);
    assert.match(client('unban', attackerV4[0]), /is in a list: .*drop\.txt:3: .*; take it out there/);
    assert.match(client('list', 'lists'), /lists +198\.51\.100\.0\/24 .* never .* list drop\.txt/);
    assert.match(client('status'), /lists +.*drop\.txt: 6 entries, banned in lists/);
    assert.equal((await host.daemon.stats())['lists.entries'], 6);
  },

  'lets pass what a jail ignores, whatever a list says': async () => {
    const prober = await network(2222, 8080);
    const host = new Host();
    host.write('192.0.2.0/24', attackerV6[0]);
    await host.start(`[defaults]\nignoreip = ["${attackerV4[1]}", "${attackerV6[0]}"]\n`);
    await host.holds({ 'list4-24-lists': ['192.0.2.0'], 'list6-128-lists': [attackerV6[0]] });
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await prober.answered(attackerV4[1], hostV4, 2222);
    await prober.answered(attackerV6[0], hostV6, 2222);
  },
};

await answerScenario(import.meta.filename, scenarios);
