/**
 * Twin of the daemon under attack: a process that remembers each source in a dictionary, as a plain
 * script would. Given a number of sources it takes the same failures as the soak, and prints what
 * the soak's report would say of it.
 */
import { failing, stepsUntil } from '../../test/soak/attack.ts';
import { residentOf } from '../../test/soak/sample.ts';

const sources = Number(process.argv[2]);
const failures = new Map<string, { first: number; times: number[] }>();
for (let step = 0; step < stepsUntil(sources, 50_000); step++) {
  failing(step, sources, (source) => {
    const key = `sshd/${source}`;
    const known = failures.get(key) ?? { first: step, times: [] };
    known.times.push(step);
    failures.set(key, known);
  });
}
const sample = { ...residentOf(process.pid), slots: Number.MAX_SAFE_INTEGER, slotsUsed: failures.size };
const others = ['file', 'heap', 'runtime', 'engine'].map((part) => [`memory.${part}_bytes`, 0]);
const stats = {
  ...Object.fromEntries(others),
  'memory.resident_bytes': sample.rssBytes,
  'memory.table_bytes': failures.size * 24,
};
console.log(JSON.stringify({ options: { sources, ceiling: '64MB' }, checks: [], stats, samples: [sample] }));
