/**
 * Hostile lines against the running daemon: every built-in filter reads one log, with lines that
 * the fuzzer makes from the corpus, unfinished and endless ones among them, and at intervals the
 * failures of one more attacker. denial.kernel.spec.ts runs it in its own namespace, so the bans
 * are real. For its twins the daemon is killed half-way, has a higher ceiling than the judge knows,
 * or the attackers are in a log that nobody reads.
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../../scripts/lab/daemon.ts';
import type { Stats } from '../../src/control/answers.ts';
import { filters } from '../../src/filters/index.ts';
import { mutated } from '../../test/fuzz/mutate.ts';
import { Random } from '../../test/fuzz/random.ts';
import { lineTargets } from '../../test/fuzz/targets/lines.ts';
import { temporaryDirectory } from '../../test/support/control.ts';
import { answerScenario } from '../../test/support/namespace.ts';
import { until } from '../../test/support/until.ts';
import { failureLine } from './tracker.ts';

export interface Outcome {
  /** What the daemon counted, of what was written. */
  lines: number;
  written: number;
  bytes: number;
  matched: number;
  tooLong: number;
  invalid: number;
  /** Attackers banned by the daemon, of those that failed in between. */
  banned: number;
  attackers: number;
  /** VmHWM, bytes. */
  peakBytes: number;
  /** Exit status of a requested stop; null if it had to be killed, or had died. */
  exit: number | null;
  /** Errors it logged. */
  errors: string[];
}

const roundsMax = 16;
const linesPerRound = 2_000;
/** Longer than a line may be, and longer than one read. */
const endless = 300_000;
const endlessPerRound = 9;

interface Flaw {
  diesAt?: number;
  attackersLog?: string;
  ceiling?: string;
  /** Rounds of lines; all of them where absent. */
  rounds?: number;
}

/** Bytes of one round, with its number of line ends. */
function hostileLines(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < linesPerRound; i++) {
    const target = random.pick(lineTargets);
    const line = mutated(random, target.corpus(), target.words());
    parts.push(Buffer.from(line.filter((byte) => byte !== 10)), Buffer.from('\n'));
  }
  for (let i = 0; i < endlessPerRound; i++) {
    const filler = random.pick(['a', '\0', '\xff', ' from 192.0.2.7 port 22 ssh2']);
    parts.push(Buffer.alloc(endless, filler, 'latin1'), Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

async function hostile(flaw: Flaw = {}): Promise<Outcome> {
  const { diesAt, attackersLog = 'all.log', ceiling = '64MB', rounds = roundsMax } = flaw;
  const directory = temporaryDirectory();
  const log = join(directory.path, 'all.log');
  writeFileSync(log, '');
  const jails = filters.map(({ name, modes }) => {
    const mode = modes === undefined ? '' : `mode = "${modes.at(-1)}"\n`;
    return `[jails.${name}]\n${mode}logpath = "${log}"\nmaxretry = 2\n`;
  });
  const settings = `[memory]\nceiling = "${ceiling}"\n[metrics]\nenabled = false\n[firewall]\nbackend = "nftables"\n${jails.join('')}`;
  const random = new Random(39);
  const outcome: Outcome = {
    ...{ lines: 0, written: 0, bytes: 0, matched: 0, tooLong: 0, invalid: 0 },
    ...{ banned: 0, attackers: 0, peakBytes: 0, exit: null, errors: [] },
  };
  const daemon = await Daemon.start(directory.path, settings);
  try {
    for (let round = 0; round < rounds && daemon.running; round++) {
      if (round === diesAt) await daemon.kill();
      const address = `198.18.0.${++outcome.attackers}`;
      const failure = (pid: number): string =>
        failureLine(address, Math.floor(Date.now() / 1000), 20_000 + 2 * round + pid);
      const block = hostileLines(random);
      appendFileSync(log, block);
      appendFileSync(join(directory.path, attackersLog), failure(0) + failure(1));
      outcome.written += linesPerRound + endlessPerRound + 2;
      outcome.bytes += block.length;
    }
    // A daemon that has died answers nobody, and its work so far is all it will do. One that reads
    // another log than the attackers' has all lines but theirs.
    let stats: Stats = {};
    const readable = outcome.written - (attackersLog === 'all.log' ? 0 : 2 * outcome.attackers);
    const all = async (): Promise<boolean> => {
      stats = await daemon.stats();
      return (stats['lines.total'] ?? 0) >= readable;
    };
    await until(all, { withinMs: 60_000, what: 'the last line' }).catch(() => {});
    outcome.lines = stats['lines.total'] ?? 0;
    outcome.matched = stats['lines.matched'] ?? 0;
    outcome.tooLong = stats['drops.too_long'] ?? 0;
    outcome.invalid = stats['drops.invalid'] ?? 0;
    const bans = Array.from({ length: outcome.attackers }, (_, index) => `sshd 198.18.0.${index + 1}`);
    const held = async (): Promise<number> => {
      const found = await daemon.bans();
      outcome.banned = bans.filter((ban) => found.has(ban)).length;
      return outcome.banned;
    };
    const wanted = outcome.lines === outcome.written ? bans.length : 0;
    await until(async () => (await held()) >= wanted, { withinMs: 10_000, what: 'the attackers’ bans' }).catch(
      () => {},
    );
    if (daemon.running) {
      outcome.peakBytes = daemon.resident().peak;
      outcome.exit = await daemon.stop();
    }
    outcome.errors = daemon.said.filter((line) => / error /.test(line));
    return outcome;
  } finally {
    await daemon.kill();
    directory.remove();
  }
}

await answerScenario(import.meta.filename, {
  hostile: () => hostile(),
  'hostile and mortal': () => hostile({ diesAt: 2, rounds: 4 }),
  'hostile and blind': () => hostile({ attackersLog: 'other.log', rounds: 4 }),
  'hostile and larger': () => hostile({ ceiling: '128MB', rounds: 2 }),
});
