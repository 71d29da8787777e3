/**
 * With the default settings no client can hide behind padding: a request line, header or name of 8
 * KiB each, of which nginx and Apache write four bytes for one.
 */
import { describe, expect, test } from 'vitest';
import { type Build, Engine } from '../../src/engine/host.ts';
import { lineBytesMax } from '../../src/limits.ts';
import { formatAddress } from '../../src/text/address.ts';

const now = Date.UTC(2026, 2, 4, 6) / 1000;
const escaped = '\\x22'.repeat(8_000);
const plain = 'x'.repeat(8_000);
const clock = '[04/Mar/2026:05:06:07 +0000]';

interface Case {
  filter: string;
  title: string;
  line: (padding: string) => string;
}

const cases: Case[] = [
  {
    filter: 'nginx-botsearch',
    title: 'query, Referer and User-Agent',
    line: (p) => `192.0.2.7 - - ${clock} "GET /phpmyadmin?${p} HTTP/1.1" 404 5 "${p}" "${p}"`,
  },
  {
    filter: 'nginx-botsearch',
    title: 'user name',
    line: (p) => `192.0.2.7 - ${p} ${clock} "GET /phpmyadmin HTTP/1.1" 404 5 "-" "-"`,
  },
  { filter: 'nginx-bad-request', title: 'request', line: (p) => `192.0.2.7 - - ${clock} "${p}" 400 157 "-" "${p}"` },
  {
    filter: 'traefik-auth',
    title: 'user, path and Referer',
    line: (p) => `192.0.2.7 - ${p} ${clock} "GET /${p} HTTP/1.1" 401 17 "${p}" "-" 33 "auth@docker" "-" 0ms`,
  },
  {
    filter: 'apache-badbots',
    title: 'path and Referer',
    line: (p) => `192.0.2.7 - - ${clock} "GET /${p} HTTP/1.1" 200 5 "${p}" "EmailCollector"`,
  },
];

describe.each<Build>(['wasm', 'scalar', 'plain'])('%s build', (build) => {
  test.each(cases)('$filter: $title', async ({ filter, line }) => {
    const jail = { filter, mode: '', maxretry: 1, findtime: 86_400, bantime: 60, ipv6Prefix: 64, ignore: [] };
    for (const padding of ['x', plain, escaped]) {
      const engine = await Engine.create({ build, jails: [jail], tableBytes: 1 << 16, live: false, now });
      engine.openSource(0, engine.addRoute([{ index: 0, filter, mode: '' }]));
      const text = Buffer.from(`${line(padding)}\n`);
      expect(text.length).toBeLessThan(lineBytesMax);
      engine.buffer.set(text);
      expect(engine.feed(0, text.length, 0, now, false)).toBe(text.length);
      const banned: string[] = [];
      engine.takeDecisions(({ address }) => void banned.push(formatAddress(address)));
      expect(banned, `${padding.length} bytes`).toEqual(['192.0.2.7']);
    }
  });
});
