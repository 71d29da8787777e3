/**
 * A server of the test's own that answers too much, too slowly, and what it should not: local
 * banning is not delayed, memory stays bounded, and no ban ends because of it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { note } from '../../scripts/long/record.ts';
import { until } from '../support/until.ts';
import { buildNetwork, Host, serverAddress } from './hosts.ts';

const say = (text: string): void => {
  console.log(`  ${text}`);
  note(`faults: ${text}`);
};

type Answer = (response: ServerResponse) => Promise<void> | void;

/** A list of `count` decisions with `durations` different ends, in pieces of some 64 KiB. */
function listOf(count: number, durations = 1): Answer {
  return async (response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    let text = '{"deleted":null,"new":[';
    for (let index = 0; index < count; index++) {
      const value = `${11 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}.7`;
      const duration = `${100 + Math.floor((index % durations) / 60)}h${(index % durations) % 60}m0.062381949s`;
      text += `${index === 0 ? '' : ','}{"duration":"${duration}","id":${index},"origin":"cscli-import","scenario":"a list","scope":"Ip","type":"ban","value":"${value}"}`;
      if (text.length < 65_536) continue;
      if (!response.write(text)) await once(response, 'drain');
      text = '';
    }
    response.end(`${text}]}`);
  };
}

const empty: Answer = (response) => void response.end('{"deleted":null,"new":null}');
const garbage: Answer = (response) => void response.end(Buffer.alloc(1 << 20, 0xa5));
const endless: Answer = (response) => {
  response.write('{"new":[{"value":"');
  const more = setInterval(() => response.write(Buffer.alloc(65_536, 0x39)), 1);
  response.once('close', () => clearInterval(more));
};
const slow: Answer = (response) => {
  const text =
    '{"deleted":null,"new":[{"duration":"1h","origin":"cscli","scenario":"slow","scope":"Ip","type":"ban","value":"203.0.113.77"}]}';
  let at = 0;
  const drip = setInterval(() => {
    if (at < text.length) response.write(text[at++]);
    else response.end();
  }, 20);
  response.once('close', () => clearInterval(drip));
};

/** Times of so many local bans, from the line to the record of the ban, ms, sorted. */
async function banTimes(host: Host, first: number, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = first; index < first + count; index++) {
    const source = `198.19.${index >> 8}.${index & 255}`;
    const banned = new Promise<void>((resolve) => {
      host.daemon.onLine((line) => {
        if (line.includes(' banned ') && line.includes(`address=${source} `)) resolve();
      });
    });
    const started = performance.now();
    host.attack(source);
    await banned;
    times.push(performance.now() - started);
    // The log's budget of lines about bans is ten a second and fifty at once.
    await pause(110);
  }
  return times.sort((a, b) => a - b);
}

const at = (times: readonly number[], share: number): string =>
  times[Math.min(times.length - 1, Math.floor(times.length * share))]!.toFixed(1);

export async function faults(): Promise<void> {
  buildNetwork();
  const answers: Answer[] = [];
  let otherwise: Answer = empty;
  const server = createServer((request, response) => {
    request.resume();
    if (request.url?.startsWith('/v1/decisions/stream')) return void (answers.shift() ?? otherwise)(response);
    if (request.url?.includes('login'))
      return void response.end(JSON.stringify({ token: 't', expire: new Date(Date.now() + 3_600_000).toISOString() }));
    return void response.writeHead(201).end('[]');
  });
  server.listen(8_080, serverAddress);
  await once(server, 'listening');
  const options = { url: `http://${serverAddress}:8080`, fleet: 'entries_max = 300000' };
  const host = new Host(1, mkdtempSync('/run/fleet-'), options);
  await host.start('any-key');
  host.startFleet();
  await until(async () => (await host.figure('lists_total')) > 0, { what: 'a list', withinMs: 30_000 });
  try {
    await all(host, answers, (answer) => {
      otherwise = answer;
    });
  } catch (error) {
    console.error(`${host.fleetLog}\n${host.daemon.said.slice(-20).join('\n')}`);
    throw error;
  }
}

async function all(host: Host, answers: Answer[], set: (otherwise: Answer) => void): Promise<void> {
  const before = await banTimes(host, 0, 40);
  say(`local bans without a load: median ${at(before, 0.5)} ms, p99 ${at(before, 0.99)} ms`);

  await apply(host, answers, listOf(250_000), 250_000, '250,000 decisions with one end');
  await apply(host, answers, empty, 250_000, 'nothing new');
  await misbehaving(host, answers);
  await million(host, answers);
  const after = await banTimes(host, 2_000, 40);
  say(
    `local bans beside ${await host.figure('bans')} bans of others: median ${at(after, 0.5)} ms, p99 ${at(after, 0.99)} ms`,
  );
  set(listOf(1_000, 1_000));
  const during = await banTimes(host, 3_000, 40);
  say(`local bans while each list is new: median ${at(during, 0.5)} ms, p99 ${at(during, 0.99)} ms`);
}

/** One list; what its bans took. */
async function apply(host: Host, answers: Answer[], list: Answer, expected: number, what: string): Promise<void> {
  const before = host.processorSeconds();
  answers.push(list);
  // The list before it may not be done yet.
  await until(() => answers.length === 0, { what, withinMs: 60_000 });
  const lists = await host.figure('lists_total');
  await until(async () => (await host.figure('lists_total')) > lists, {
    what,
    withinMs: 240_000,
  });
  const seconds = await host.figure('list_seconds');
  const held = await host.figure('bans');
  if (list !== empty) {
    const after = host.processorSeconds();
    const cost = `processor time ${(after.daemon - before.daemon).toFixed(1)} s of the daemon, ${(after.fleet - before.fleet).toFixed(1)} s of fail2zig-fleet`;
    say(
      `${what}: in the kernel after ${seconds.toFixed(1)} s (${cost}; it took ${Math.round(host.fleetPeakMebibytes())} MiB at most)`,
    );
  }
  assert.equal(held, expected, what);
}

async function misbehaving(host: Host, answers: Answer[]): Promise<void> {
  const held = await host.figure('bans');
  for (const [what, answer] of [
    ['garbage', garbage],
    ['a text without end', endless],
    ['a page', (response: ServerResponse) => void response.writeHead(502).end('<html>')],
    ['an object without lists', (response: ServerResponse) => void response.end('{}')],
  ] as const) {
    const failures = await host.figure('errors_total');
    answers.push(answer);
    await until(async () => (await host.figure('errors_total')) > failures, { what, withinMs: 120_000 });
    assert.ok((await host.figure('bans')) === held, `${what} ended bans`);
    // What comes next is a list of all: the same again.
    await apply(host, answers, listOf(250_000), 250_000, `all of it again after ${what}`);
  }
  say('garbage, a text without end, a page, an object without lists: an error each, no ban ends');
  answers.push(slow);
  const times = await banTimes(host, 1_000, 20);
  say(`while the server drips its list: local bans median ${at(times, 0.5)} ms, p99 ${at(times, 0.99)} ms`);
  await host.untilBanned('fleet', '203.0.113.77', 'the slow decision');
}

async function million(host: Host, answers: Answer[]): Promise<void> {
  answers.push(listOf(1_000_000));
  const skipped = await host.figure('decisions_skipped_total', 'ceiling');
  await until(() => answers.length === 0, { what: 'the question', withinMs: 30_000 });
  const lists = await host.figure('lists_total');
  const times = await banTimes(host, 1_500, 40);
  await until(async () => (await host.figure('lists_total')) > lists, { what: 'a million', withinMs: 180_000 });
  const over = (await host.figure('decisions_skipped_total', 'ceiling')) - skipped;
  const seconds = await host.figure('list_seconds');
  const peak = host.fleetPeakMebibytes();
  say(
    `1,000,000 decisions: ${await host.figure('bans')} bans held, ${over} over the ceiling, in ${seconds.toFixed(1)} s; fail2zig-fleet took ${Math.round(peak)} MiB at most`,
  );
  say(`local bans meanwhile: median ${at(times, 0.5)} ms, p99 ${at(times, 0.99)} ms`);
  assert.ok((await host.figure('bans')) <= 300_000, 'the ceiling of entries');
  assert.ok(peak < 400, `fail2zig-fleet took ${peak} MiB`);
  const { memory } = await host.daemon.status();
  assert.ok(memory.residentBytes <= memory.ceilingBytes, 'the ceiling of the daemon');
}
