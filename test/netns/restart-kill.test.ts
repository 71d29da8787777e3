/**
 * kill -9 at random instants under load: the daemon reads a log that never stops growing, is
 * killed, and is started again. Afterwards each line must have counted exactly once. Two kinds of
 * sources show it: those with as many failures as a ban needs (if one is lost, they are not banned)
 * and those with one less (if one counts twice, they are). The failures of a source are spread out,
 * so that most of them have one kill or more in between. No ban that was on disk may be missing
 * either. STATE_KILLS sets the number of kills, SEED repeats a run.
 */
import { appendFileSync, closeSync, existsSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { note } from '../../scripts/long/record.ts';
import { Engine } from '../../src/engine/host.ts';
import { type LoadedTable, loadState } from '../../src/state/load.ts';
import { formatAddress } from '../../src/text/address.ts';
import { temporaryDirectory } from '../support/control.ts';
import { CollectingVisitor } from '../support/state.ts';
import { until } from '../support/until.ts';

const kills = Number(process.env.STATE_KILLS ?? 20);
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
/** This many failures ban a source. */
const maxretry = 4;
/** Sources that fail in turn; half of them one time less than a ban needs. */
const groupSources = 100;
/** Lines between two pauses of the writer. */
const linesPerTick = 10;

const home = temporaryDirectory();
afterEach(() => home.remove());

/**
 * Writes failures without end: groups of sources, each source `maxretry` times or once less, in
 * rounds over its group.
 */
class Writer {
  lines = 0;
  readonly #descriptor: number;
  #group = 0;
  #round = 0;
  #member = 0;
  #running = true;
  readonly #done: Promise<void>;

  constructor(path: string) {
    this.#descriptor = openSync(path, 'a');
    this.#done = this.#run();
  }

  /** Finishes the group that is being written. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
    closeSync(this.#descriptor);
  }

  /** The sources that must be banned in the end: the even ones of each group. */
  expected(): string[] {
    const all: string[] = [];
    for (let group = 0; group < this.#group; group++) {
      for (let member = 0; member < groupSources; member += 2) all.push(addressOf(group, member));
    }
    return all;
  }

  async #run(): Promise<void> {
    while (this.#running || this.#round > 0 || this.#member > 0) {
      let text = '';
      for (let i = 0; i < linesPerTick; i++) text += this.#next();
      // Some writes end in the middle of a line.
      const cut = Math.floor(text.length * 0.7);
      writeSync(this.#descriptor, text.slice(0, cut));
      await pause(5);
      writeSync(this.#descriptor, text.slice(cut));
    }
  }

  #next(): string {
    const { line, address } = { line: this.lines++, address: addressOf(this.#group, this.#member) };
    const isLast = this.#round === maxretry - 1;
    this.#member += isLast ? 2 : 1;
    if (this.#member >= groupSources) {
      this.#member = 0;
      this.#round++;
    }
    if (this.#round === maxretry) {
      this.#round = 0;
      this.#group++;
    }
    // A pid of its own, so that each line is an attempt by itself.
    return `${new Date().toISOString()} host sshd[${line + 1}]: Failed password for root from ${address} port 40022 ssh2\n`;
  }
}

function addressOf(group: number, member: number): string {
  const number = group * groupSources + member;
  return `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
}

/** The addresses that are banned by the state file at `path`. */
async function savedBans(path: string): Promise<string[]> {
  const jail = { filter: 'sshd', mode: '', maxretry, findtime: 600, bantime: -1, ipv6Prefix: 64, ignore: [] };
  const engine = await Engine.create({ jails: [jail], tableBytes: 20_000_000 });
  const now = Date.now() / 1000;
  let restoring: ReturnType<Engine['restoreTable']> = null;
  const visitor = {
    position: () => {},
    table: (table: LoadedTable) => {
      restoring = engine.restoreTable(table, [0], now);
      return restoring !== null;
    },
    entries: (bytes: Buffer) => restoring?.take(bytes),
  };
  expect(loadState(path, visitor, now).state).not.toBe(null);
  const bans: string[] = [];
  engine.eachBan(0, engine.slots, ({ address }) => bans.push(formatAddress(address)));
  return bans;
}

test(`kill -9, ${kills} times: every line counts exactly once`, { timeout: 60_000 + kills * 15_000 }, async () => {
  console.log(`kill test: SEED=${seed} STATE_KILLS=${kills}`);
  const log = join(home.path, 'auth.log');
  const path = join(home.path, 'state', 'state');
  // A dry run keeps a state of its own.
  const state = `${path}.dry-run`;
  writeFileSync(log, '');
  const settings = `[firewall]
backend = "log-only"
[metrics]
enabled = false
[state]
path = "${path}"
interval = "1s"
[jails.sshd]
logpath = "${log}"
maxretry = ${maxretry}
findtime = "12h"
bantime = "12h"
`;
  let daemon = await Daemon.start(home.path, settings);
  await until(() => existsSync(state), { what: 'the first state' });
  const writer = new Writer(log);
  let random = seed;
  for (let kill = 0; kill < kills; kill++) {
    random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    await pause((random >> 8) % 1_500);
    await daemon.kill();
    const { state: loaded, ...why } = loadState(state, new CollectingVisitor(), 0);
    expect(loaded, `after kill ${kill}: ${JSON.stringify(why)}`).not.toBe(null);
    daemon = await Daemon.start(home.path, settings);
    expect(daemon.said.filter((line) => / (warn|error) state/.test(line))).toEqual([]);
  }
  await writer.stop();
  appendFileSync(log, `${new Date().toISOString()} host sshd[1]: Server listening on 0.0.0.0 port 22.\n`);
  const expected = writer.expected().sort();
  // A daemon that stops reads what is already written.
  expect(await daemon.stop(), daemon.said.slice(-20).join('\n')).toBe(0);
  const saved = (await savedBans(state)).sort();
  expect(saved, daemon.said.filter((line) => !/ banned | would ban /.test(line)).join('\n')).toEqual(expected);
  note({ kills, seed, lines: writer.lines, 'banned as they must be': saved.length });
  // Otherwise there was no load.
  expect(expected.length).toBeGreaterThan(100);
});
