/**
 * A server that answers too much, too slowly, wrongly, or not at all: local banning is not delayed,
 * memory stays bounded, no ban ends because of it, and each of our bans is on the server once.
 */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { note } from '../../scripts/long/record.ts';
import { until } from '../support/until.ts';
import { buildNetwork, Host, ip, serverAddress } from './hosts.ts';
import { type Answer, addressOf, listOf, StandInServer } from './stand-in.ts';

/** Memory limit of fail2zig-fleet in the unit (`MemoryMax=`), MiB. */
const fleetMebibytesMax = 512;
/** Less than three quarters of what the kernel may hold with 64 MB. */
const entriesMax = 260_000;
const listed = 250_000;

const say = (what: string, found: string): void => {
  console.log(`  ${what.padEnd(44)} ${found}`);
  note(`faults: ${what}: ${found}`);
};

const garbage: Answer = (response) => void response.end(Buffer.alloc(1 << 20, 0xa5));
const endless: Answer = (response) => {
  response.write('{"new":[{"value":"');
  const more = setInterval(() => response.write(Buffer.alloc(65_536, 0x39)), 1);
  response.once('close', () => clearInterval(more));
};
const page: Answer = (response) => void response.writeHead(502).end('<html>');
const noLists: Answer = (response) => void response.end('{}');
const cut: Answer = (response) => {
  response.write('{"deleted":null,"new":[{"duration":"1h","origin":"cscli","scenario":"x","scope":"Ip"');
  setTimeout(() => response.destroy(), 50);
};
const slow = '[{"duration":"1h","origin":"cscli","scenario":"slow","scope":"Ip","type":"ban","value":"203.0.113.77"}]';
const drip: Answer = (response) => {
  const text = `{"deleted":null,"new":${slow}}`;
  let at = 0;
  const more = setInterval(() => {
    if (at < text.length) response.write(text[at++]);
    else response.end();
  }, 20);
  response.once('close', () => clearInterval(more));
};

export async function faults(): Promise<void> {
  buildNetwork();
  const server = await StandInServer.start(serverAddress);
  const fleet = `entries_max = ${entriesMax}`;
  const host = new Host(1, mkdtempSync('/run/fleet-'), { url: `http://${serverAddress}:8080`, fleet });
  await host.start('any-key');
  host.startFleet();
  await until(async () => (await host.figure('lists_total')) > 0, { what: 'a list', withinMs: 60_000 });
  try {
    await new Faults(server, host).all();
  } catch (error) {
    console.error(`${host.fleetLog}\n${host.daemon.said.slice(-20).join('\n')}`);
    throw error;
  }
}

class Faults {
  readonly #server: StandInServer;
  readonly #host: Host;
  /** Number of local bans so far. */
  #banned = 0;
  #peak = 0;
  /** Who waits for the record of a ban. */
  readonly #awaited = new Map<string, () => void>();

  constructor(server: StandInServer, host: Host) {
    this.#server = server;
    this.#host = host;
    host.daemon.onLine((line) => {
      if (!line.includes(' banned ')) return;
      for (const [source] of line.matchAll(/198\.1[89]\.[0-9]+\.[0-9]+/g)) this.#awaited.get(source)?.();
    });
  }

  async all(): Promise<void> {
    const server = this.#server;
    await this.#times(20);
    server.holds = { count: listed };
    await this.#apply(listOf(server.holds), listed, '250,000 decisions with one end');
    await this.#misbehaving();
    await this.#gone();
    await this.#interleaved();
    await this.#million();
    await this.#ended();
    await this.#eachOnce();
    await this.#memory();
  }

  /** Times of this many local bans, from the line to the record of the ban, ms, sorted. */
  async #times(count: number): Promise<number[]> {
    const times: number[] = [];
    for (let index = 0; index < count; index++) {
      const number = this.#banned++;
      const source = `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
      const banned = new Promise<void>((resolve) => this.#awaited.set(source, resolve));
      const started = performance.now();
      this.#host.attack(source);
      await banned;
      times.push(performance.now() - started);
      this.#awaited.delete(source);
      // At most twenty records a second have all details.
      await pause(50);
    }
    return times;
  }

  /** One list; returns how long its bans took. */
  async #apply(list: Answer, expected: number, what: string): Promise<void> {
    const host = this.#host;
    const before = host.processorSeconds();
    const bans = await host.figure('banned_total');
    this.#server.next.push(list);
    await until(() => this.#server.next.length === 0, { what: `the question before ${what}`, withinMs: 60_000 });
    const started = performance.now();
    const isDone = async (): Promise<boolean> => (await host.figure('bans')) === expected;
    await until(isDone, { what, withinMs: 240_000 });
    const seconds = (performance.now() - started) / 1000;
    const after = host.processorSeconds();
    const made = (await host.figure('banned_total')) - bans;
    const cost = `daemon ${(after.daemon - before.daemon).toFixed(1)} s, fail2zig-fleet ${(after.fleet - before.fleet).toFixed(1)} s of processor time`;
    say(what, `${made} bans in ${seconds.toFixed(1)} s (${cost})`);
  }

  /**
   * Each wrong answer is an error and ends no ban; the complete list after it bans nothing again.
   */
  async #misbehaving(): Promise<void> {
    const host = this.#host;
    for (const [what, answer] of Object.entries({
      garbage,
      'a text without end': endless,
      'a page': page,
      'no lists': noLists,
      'a cut': cut,
    })) {
      const failures = await host.figure('errors_total');
      const whole = await host.figure('lists_whole_total');
      const bans = await host.figure('banned_total');
      this.#server.next.push(answer);
      await until(async () => (await host.figure('errors_total')) > failures, { what, withinMs: 120_000 });
      await until(async () => (await host.figure('lists_whole_total')) > whole, {
        what: `a list after ${what}`,
        withinMs: 120_000,
      });
      assert.equal(await host.figure('bans'), listed, `bans after ${what}`);
      assert.equal(await host.figure('banned_total'), bans, `bans made anew after ${what}`);
      say(what, 'an error; no ban ends, none is made anew');
    }
    this.#server.next.push(drip);
    const times = await this.#times(20);
    // Not by nft, which takes seconds for all of them and would delay the slow answers.
    const holds = (count: number) => async () => (await host.figure('bans')) === count;
    await until(holds(listed + 1), { what: 'the slow decision', withinMs: 60_000 });
    this.#server.next.push((response) => void response.end(`{"deleted":${slow},"new":null}`));
    await until(holds(listed), { what: 'its end', withinMs: 60_000 });
    say('a list by drips', `taken; local bans meanwhile: ${shown(times)}`);
  }

  /** First the server disappears, then the network. */
  async #gone(): Promise<void> {
    const host = this.#host;
    const server = this.#server;
    const bans = await host.figure('bans');
    for (const [what, go, back] of [
      ['the server is killed', () => server.kill(), () => server.listen(serverAddress)],
      ['the network is cut', () => ip('link', 'set', host.name, 'down'), () => ip('link', 'set', host.name, 'up')],
    ] as const) {
      await go();
      const times = await this.#times(20);
      assert.ok((await host.figure('bans')) === bans, `bans while ${what}`);
      await back();
      const known = server.alerts.length;
      await until(() => server.alerts.length >= this.#banned, { what: `alerts after ${what}`, withinMs: 120_000 });
      say(what, `${this.#banned - known} bans waited; local bans meanwhile: ${shown(times)}`);
    }
  }

  /** Local bans, alternately beside changing lists and without any. */
  async #interleaved(): Promise<void> {
    const without: number[] = [];
    const beside: number[] = [];
    const held = await this.#host.figure('bans');
    for (let round = 0; round < 6; round++) {
      this.#server.otherwise = listOf(undefined);
      await until(async () => (await this.#host.figure('bans')) === held, { what: 'quiet', withinMs: 60_000 });
      without.push(...(await this.#times(50)));
      let turn = 0;
      this.#server.otherwise = (response) => {
        const own = { first: 2 * entriesMax, count: 2_000 };
        return (turn++ % 2 === 0 ? listOf(own) : listOf(undefined, own))(response);
      };
      beside.push(...(await this.#times(50)));
      if (turn % 2 === 1) this.#server.next.push(listOf(undefined, { first: 2 * entriesMax, count: 2_000 }));
    }
    this.#server.otherwise = listOf(undefined);
    say('local bans while each list is empty', shown(without));
    say('local bans while each list has 2,000', `${shown(beside)}: ${ratio(without, beside)}`);
  }

  /** A million decisions: those beyond the limit are counted and reported. */
  async #million(): Promise<void> {
    const host = this.#host;
    const count = 1_000_000;
    const skipped = await host.figure('decisions_skipped_total', 'ceiling');
    const lists = await host.figure('lists_total');
    this.#server.holds = { count };
    this.#server.next.push(listOf(this.#server.holds));
    await until(() => this.#server.next.length === 0, { what: 'the question', withinMs: 60_000 });
    const times = await this.#times(100);
    await until(async () => (await host.figure('lists_total')) > lists + 1, { what: 'a million', withinMs: 240_000 });
    const over = (await host.figure('decisions_skipped_total', 'ceiling')) - skipped;
    const held = await host.figure('bans');
    say(
      '1,000,000 decisions',
      `${held} bans held, ${over} beyond the ceiling of ${entriesMax}; local bans meanwhile: ${shown(times)}`,
    );
    assert.equal(held, entriesMax, 'bans at the ceiling');
    assert.equal(over, count - entriesMax, 'decisions without a ban are counted');
    assert.match(host.fleetLog, new RegExp(`have no room among the ${entriesMax}`), 'they are said');
  }

  /** The process gets SIGKILL in the middle of a million decisions and of its alerts. */
  async #ended(): Promise<void> {
    const host = this.#host;
    this.#peak = host.fleetPeakMebibytes();
    for (let time = 0; time < 3; time++) {
      await this.#times(10);
      await host.killFleet();
      host.startFleet();
      await until(async () => (await host.figure('decisions_total')) > 0, { what: 'the list', withinMs: 60_000 });
    }
    await until(async () => (await host.figure('lists_total')) > 0, { what: 'a list', withinMs: 240_000 });
    assert.equal(await host.figure('bans'), entriesMax, 'bans after the process was killed');
    assert.ok(host.kernelHolds('fleet').includes(addressOf(0)), 'the first ban');
    say('fail2zig-fleet killed three times', `${entriesMax} bans held all the while`);
  }

  async #eachOnce(): Promise<void> {
    const host = this.#host;
    const { alerts } = this.#server;
    await until(() => alerts.length >= this.#banned, { what: 'all bans on the server', withinMs: 120_000 });
    await until(async () => (await host.figure('alerts_waiting')) === 0, { what: 'an empty spool', withinMs: 60_000 });
    assert.equal(await host.figure('spool_dropped_total'), 0, 'bans that the spool dropped');
    assert.equal(new Set(alerts).size, alerts.length, 'alerts that came twice');
    assert.equal(alerts.length, this.#banned, 'alerts');
    say('bans of ours', `${this.#banned}, each on the server once; the spool dropped none`);
  }

  async #memory(): Promise<void> {
    const host = this.#host;
    const fleet = Math.round(Math.max(this.#peak, host.fleetPeakMebibytes()));
    const { memory } = await host.daemon.status();
    const [peak, ceiling] = [host.daemonPeakMebibytes(), memory.ceilingBytes / 2 ** 20].map(Math.round) as [
      number,
      number,
    ];
    say('memory of fail2zig-fleet', `${fleet} MiB of ${fleetMebibytesMax} MiB`);
    say('memory of the daemon', `${peak} MiB of ${ceiling} MiB`);
    assert.ok(fleet < fleetMebibytesMax, 'the ceiling of fail2zig-fleet');
    assert.ok(peak <= ceiling, 'the ceiling of the daemon');
  }
}

/** The time that this share of them does not exceed, ms. */
function at(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

const shown = (times: readonly number[]): string =>
  `median ${at(times, 0.5).toFixed(1)} ms, p99 ${at(times, 0.99).toFixed(1)} ms of ${times.length}`;

const ratio = (without: readonly number[], beside: readonly number[]): string =>
  [0.5, 0.99].map((share) => `× ${(at(beside, share) / at(without, share)).toFixed(2)}`).join(' and ');
