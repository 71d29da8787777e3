/**
 * The recorded soaks of an hour, judged again by their samples, not by their own word. A newer one
 * is made by `npm run soak -- --sources N --seconds 3600 --record`.
 */
import assert from 'node:assert/strict';
import { buildHash } from '../scripts/long/record.ts';
import { newestSoaks, type SoakRun } from '../scripts/page/evidence.ts';
import { parseSize } from '../src/config/size.ts';
import { checkFlat } from '../test/soak/checks.ts';
import { claim, given, twin } from './claim.ts';

/** Distinct sources of the soaks that must be there: fewer than the table holds, and more. */
const asked = [50_000, 1_000_000];
/** What a soak checks of memory itself; of the rest this claim says what failed. */
const ofMemory = ['peak', 'slots', 'flat rssBytes', 'flat anonymousBytes', 'evictions'];

/** All soaks, each with what `change` makes of it. */
const soaks = (change: (run: SoakRun) => Partial<SoakRun> = () => ({})) =>
  given(newestSoaks().map((run) => ({ ...run, ...change(run) })));

/** Every sample with another value of one field. */
const sampled = (field: keyof SoakRun['samples'][number], value: (bytes: number, seconds: number) => number) =>
  soaks(({ samples }) => ({ samples: samples.map((one) => ({ ...one, [field]: value(one[field], one.seconds) })) }));

claim(
  'MM-28',
  soaks(),
  (runs) => {
    const said = asked.map((sources) => {
      const run = runs.find(({ options }) => options.sources === sources);
      assert.ok(run !== undefined, `no soak of ${sources} sources is recorded`);
      const { options, machine, date, build, samples, checks } = run;
      const last = samples.at(-1)!;
      assert.ok(machine.cpu && machine.commit && Number.isFinite(Date.parse(date)), 'machine, commit and date');
      assert.ok(options.seconds >= 3_600 && last.seconds >= 3_600, `${sources} sources for ${last.seconds} s only`);
      assert.ok(run.sampled >= 0.95 * last.seconds, `${run.sampled} samples in ${last.seconds} s`);
      for (const { name, ok, found } of checkFlat(samples)) assert.ok(ok, `${name} under ${sources} sources: ${found}`);
      const ceiling = parseSize(options.ceiling, 0, Number.MAX_SAFE_INTEGER);
      assert.ok(
        ceiling.ok && last.peakBytes <= 1.1 * ceiling.value,
        `${last.peakBytes} bytes under ${sources} sources`,
      );
      assert.ok(last.evictions >= sources - last.slots, `${last.evictions} evictions counted of ${sources} sources`);
      const passed = checks.filter(({ ok }) => ok).map(({ name }) => name);
      const lacking = ofMemory.filter((name) => !passed.includes(name));
      assert.deepEqual(lacking, [], `what the soak of ${sources} sources itself found`);
      const failed = checks.filter(({ ok }) => !ok).map(({ name }) => `, ${name} FAILED`);
      const age = build === buildHash() ? '' : ' of an older build';
      const peak = (last.peakBytes / 2 ** 20).toFixed(1);
      return `${sources} sources, ${date.slice(0, 10)}${age}: ${run.sampled} samples, VmHWM ${peak} MiB, ${last.evictions} evictions${failed.join('')}`;
    });
    return said.join('; ');
  },
  [
    twin(
      'a soak of ten minutes',
      sampled('seconds', (seconds) => seconds / 6),
      /sources for 6\d\d\S* s only/,
    ),
    twin(
      'a look every ten seconds',
      soaks(({ sampled: taken }) => ({ sampled: taken / 10 })),
      /samples in 36/,
    ),
    twin(
      'a daemon that gains 5 MiB an hour',
      sampled('rssBytes', (bytes, seconds) => bytes + (seconds / 3_600) * 5 * 2 ** 20),
      /flat rssBytes under 50000 sources/,
    ),
    twin(
      'evictions that nobody counts',
      sampled('evictions', () => 0),
      /0 evictions counted of 1000000 sources/,
    ),
    twin(
      'a peak over the ceiling',
      sampled('peakBytes', (bytes) => bytes * 1.25),
      /bytes under 50000 sources/,
    ),
    twin(
      'a soak that found too few slots itself',
      soaks(({ checks }) => ({ checks: checks.map((one) => (one.name === 'slots' ? { ...one, ok: false } : one)) })),
      /what the soak of 50000 sources itself found/,
    ),
  ],
);
