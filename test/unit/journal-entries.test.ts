/**
 * Entries of the journal in the engine: identifier, pid and message, with the time of the entry.
 */
import { describe, expect, test } from 'vitest';
import { FILTER_MATCHED, JAIL_FAILURES, JAIL_TOO_OLD, LINES, LINES_TOO_LONG } from '../../src/engine/counters.ts';
import { type Build, Engine } from '../../src/engine/host.ts';
import type { Decision } from '../../src/types.ts';

const now = Date.UTC(2026, 10, 30, 3) / 1000;

async function engineOf(build: Build, filter: string, maxretry = 2) {
  const jail = { filter, mode: '', maxretry, findtime: 600, bantime: 600, ipv6Prefix: 64, ignore: [] };
  const engine = await Engine.create({ build, jails: [jail], now, seed: [3, 4], tableBytes: 1_000_000 });
  engine.openSource(5, engine.addRoute([{ index: 0, filter, mode: '' }]));
  const { filter: number } = engine.resolveFilter(filter, '');
  const feed = (text: string, time = now, offset = 1, cut = false): void => {
    const bytes = Buffer.from(text);
    engine.buffer.set(bytes);
    engine.feedEntry(5, bytes.length, offset, now, time, cut);
  };
  const decisions = (): Decision[] => {
    const taken: Decision[] = [];
    engine.takeDecisions((decision) => void taken.push(decision));
    return taken;
  };
  return { engine, feed, decisions, matched: () => engine.filterCounter(number, FILTER_MATCHED) };
}

describe.each<Build>(['wasm', 'plain'])('%s build', (build) => {
  test('failures count at the time they were written, and decide with their number', async () => {
    const { engine, feed, decisions } = await engineOf(build, 'sshd');
    feed('sshd[10]: Failed password for root from 192.0.2.1 port 22 ssh2', now - 300.5, 77);
    feed('sshd[11]: Failed password for root from 192.0.2.1 port 22 ssh2', now - 100.25, 78);
    expect(decisions()).toMatchObject([
      { jail: 0, time: Math.floor(now - 100.25), source: 5, offset: 78, failures: 2 },
    ]);
    feed('sshd[12]: Failed password for root from 192.0.2.2 port 22 ssh2', now - 601);
    expect(engine.jailCounter(0, JAIL_TOO_OLD)).toBe(1);
    expect(engine.jailCounter(0, JAIL_FAILURES)).toBe(2);
    expect(engine.counter(LINES)).toBe(3);
  });

  test('a message is one line, whatever it holds', async () => {
    const { feed, matched, engine } = await engineOf(build, 'sshd');
    feed('sshd[10]: hello\nsshd[10]: Failed password for root from 192.0.2.1 port 22 ssh2');
    feed('sshd[10]: hello\nNov 30 03:00:00 host sshd[10]: Failed password for root from 192.0.2.1 port 22 ssh2');
    expect(matched()).toBe(0);
    feed('sshd[10]: Failed password for root from 192.0.2.1 port 22 ssh2\r\n\n');
    expect(matched()).toBe(1);
    expect(engine.counter(LINES)).toBe(3);
  });

  test('nobody else’s identifier, none at all, and nothing', async () => {
    const { feed, matched } = await engineOf(build, 'sshd');
    for (const head of ['cron[10]: ', '-: ', '', 'sshd: x[10]: '])
      feed(`${head}Failed password for root from 192.0.2.1 port 22 ssh2`);
    feed('');
    feed('sshd[1]: ');
    expect(matched()).toBe(0);
  });

  test('a time that the service writes into its message does not hide it', async () => {
    const { feed, matched } = await engineOf(build, 'gitea');
    const text = 'routers/web/auth/auth.go:1:SignInPost() [I] Failed authentication attempt for x from 192.0.2.1:40';
    feed(`gitea[1]: 2026/11/30 02:59:59 ${text}`);
    feed(`gitea[1]: ${text}`);
    expect(matched()).toBe(2);
  });

  test('what a cut message ends in decides nothing', async () => {
    const { feed, matched, engine } = await engineOf(build, 'sshd');
    feed(`sshd[10]: Failed password for ${'x'.repeat(2_000)} from 192.0.2.1 port 22 ssh2`, now, 1, true);
    expect(matched()).toBe(0);
    expect(engine.counter(LINES_TOO_LONG)).toBe(1);
  });
});
