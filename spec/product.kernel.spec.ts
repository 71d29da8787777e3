/**
 * The product on the real kernel: bans in each backend, judged by packets that pass or do not, in
 * namespaces of their own.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../scripts/lab/daemon.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { runScenario } from '../test/support/namespace.ts';
import { until } from '../test/support/until.ts';
import { claim, given, twin } from './claim.ts';
import type { Seen } from './support/backends.scenario.ts';
import { validConfig } from './support/configuration.ts';
import { failureLine } from './support/tracker.ts';

const file = join(import.meta.dirname, 'support', 'backends.scenario.ts');
/** What a ban of 192.0.2.10 and of the /64 of 2001:db8:0:1::10 does, by backend. */
type Bans = () => Promise<Record<string, Seen>>;

const bansOf =
  (...names: string[]): Bans =>
  async () => {
    const seen: Record<string, Seen> = {};
    for (const name of names) seen[name] = (await runScenario(file, name)) as Seen;
    return seen;
  };

const needs = ['linux', 'root', 'namespaces'] as const;
const everybody = Array.from({ length: 5 }, () => 'answered');

async function judge(bans: Bans): Promise<string> {
  const seen = Object.entries(await bans());
  for (const [name, { before, banned, lifted, held }] of seen) {
    assert.deepEqual(before, everybody, `${name}: connections before the ban`);
    assert.deepEqual(
      banned,
      ['dropped', 'answered', 'dropped', 'dropped', 'answered'],
      `${name}: connections of the banned address, its neighbour, two of the banned /64, and one of the next`,
    );
    assert.equal(held, 2, `${name}: bans held`);
    assert.deepEqual(lifted, everybody, `${name}: connections after the ban was lifted`);
  }
  return `${seen.map(([name]) => name).join(', ')}: packets of a banned address and of a banned /64 dropped, all others answered, lifted again`;
}

const twins = [
  twin('a backend that says it bans and does not', given(bansOf('forgetful')), /forgetful: connections of the banned/),
  twin('a dry run', given(bansOf('log-only')), /log-only: connections of the banned/),
] as const;

claim('LP-24', given(bansOf('nftables')), judge, [...twins], { needs: [...needs], timeoutMs: 120_000 });
claim('LP-25', given(bansOf('iptables', 'ipset')), judge, [...twins], { needs: [...needs], timeoutMs: 120_000 });
claim('LP-26', given(bansOf('xdp')), judge, [...twins], { needs: [...needs], timeoutMs: 120_000 });

/**
 * Starts the program without the right to change the firewall; its exit status and what it said.
 */
type Start = () => { status: number | null; said: string };

function started(firewall: string, command: string[]): Start {
  return () => {
    const directory = temporaryDirectory();
    try {
      const path = join(directory.path, 'fail2zig.toml');
      const places = `[control]\nenabled = false\n[metrics]\nenabled = false\n[state]\npath = "${directory.path}/state"\n`;
      writeFileSync(path, `${places}[firewall]\n${firewall}\n${validConfig}`, { mode: 0o644 });
      appendFileSync(join(directory.path, 'auth.log'), '');
      const [program = '', ...parameters] = [...command, 'bin/fail2zig', '--config', path];
      const { status, stderr } = spawnSync(program, parameters, { encoding: 'utf8', timeout: 5_000 });
      return { status, said: stderr };
    } finally {
      directory.remove();
    }
  };
}

const powerless = ['unshare', '-n', 'setpriv', '--bounding-set', '-net_admin,-sys_admin', '--inh-caps', '-all'];

claim(
  'FM-1',
  given(started('backend = "auto"', powerless)),
  (start) => {
    const { status, said } = start();
    assert.equal(status, 69, 'exit status without any right to ban');
    const places = ['nftables', 'iptables', 'ipset'].map((name) => said.indexOf(`${name}:`));
    assert.ok(
      places.every((place, index) => place >= 0 && place > (places[index - 1] ?? -1)),
      `the backends are not named in their order: ${said}`,
    );
    assert.match(said, /EPERM/, 'what the kernel said is not told');
    return 'without CAP_NET_ADMIN: nftables, iptables, ipset tried in this order, each with what the kernel said; exit 69';
  },
  [
    twin(
      'a daemon that falls back to saying',
      given(started('backend = "auto"\nallow_log_only = true', powerless)),
      /exit status without any right to ban/,
    ),
    twin(
      'a daemon that tries one backend',
      given(started('backend = "ipset"', powerless)),
      /the backends are not named in their order/,
    ),
  ],
  { needs: ['linux', 'root', 'namespaces', 'built'] },
);

/** Milliseconds from exec to the decision on a line written after it; undefined where none came. */
type FirstEvent = () => Promise<number | undefined>;
/** Far above what a loaded machine takes; what is measured is the evidence. */
const firstEventMs = 5_000;

function firstEvent(written: string): FirstEvent {
  return async () => {
    const directory = temporaryDirectory();
    const log = join(directory.path, 'auth.log');
    writeFileSync(log, '');
    const settings = `[metrics]\nenabled = false\n[state]\nenabled = false\n[firewall]\nbackend = "log-only"\n[jails.sshd]\nfilter = "sshd"\nlogpath = "${log}"\nmaxretry = 1\nignoreself = false\n`;
    const from = performance.now();
    const starting = Daemon.start(directory.path, settings);
    let lines = 0;
    const writer = setInterval(() => {
      appendFileSync(join(directory.path, written), failureLine('192.0.2.7', Math.floor(Date.now() / 1000), lines++));
    }, 2);
    try {
      const daemon = await starting;
      await until(() => daemon.said.some((line) => line.includes('would ban')), { withinMs: firstEventMs });
      return performance.now() - from;
    } catch {
      return undefined;
    } finally {
      clearInterval(writer);
      await (await starting).stop();
      directory.remove();
    }
  };
}

claim(
  'LP-08',
  given(firstEvent('auth.log')),
  async (measure) => {
    const times: number[] = [];
    for (let i = 0; i < 3; i++) {
      const time = await measure();
      assert.ok(time !== undefined, `no event was read within ${firstEventMs} ms of the start`);
      times.push(Math.round(time));
    }
    const [first, second, third] = times.toSorted((a, b) => a - b);
    return `exec to the decision on a line written meanwhile: ${first}, ${second} and ${third} ms (launch stage included)`;
  },
  [twin('a daemon that follows another file', given(firstEvent('other.log')), /no event was read within/)],
  { needs: ['linux', 'root', 'built'], timeoutMs: 120_000 },
);
