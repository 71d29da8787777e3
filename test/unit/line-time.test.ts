/**
 * The time of a line: its own time if it has one, otherwise the time of arrival; an impossible time
 * drops the line.
 */
import { describe, expect, test } from 'vitest';
import { compileConfig } from '../../src/config/compile.ts';
import { tryLines } from '../../src/config/load.ts';
import { FILTER_BAD_TIME } from '../../src/engine/counters.ts';
import { Examiner } from '../../src/engine/examiner.ts';
import type { Build } from '../../src/engine/host.ts';

const now = Date.UTC(2026, 10, 21, 8) / 1000;
const builds: Build[] = ['wasm', 'scalar', 'plain'];

/** What a filter with one pattern says about a line. */
async function reader(build: Build, pattern: string, ignore?: string) {
  const text = `[[filter]]\nname = "own"\npattern = '''${pattern}'''\n${ignore === undefined ? '' : `ignore = "${ignore}"\n`}`;
  const { config } = compileConfig(text, 'test.toml', { filters: [], groupId: () => 0, tryLines });
  const engine = await Examiner.create({ build, jails: [], filters: config.filters, tableBytes: 0, now });
  const { filter } = engine.resolveFilter('own', '');
  return (line: string) => {
    const { outcome, time } = engine.examine(Buffer.from(line), 'own', '', now, false);
    return { outcome, time, dropped: engine.filterCounter(filter, FILTER_BAD_TIME) };
  };
}

describe.each(builds)('%s', (build) => {
  test('before the message', async () => {
    const read = await reader(build, 'login of {user} from {ip} refused{end}');
    const line = 'login of root from 192.0.2.7 refused';
    expect(read(`2026-11-21T07:00:00Z ${line}`)).toEqual({ outcome: 'failure', time: now - 3600, dropped: 0 });
    expect(read(line)).toEqual({ outcome: 'failure', time: now, dropped: 0 });
    expect(read(`2026-11-31T07:00:00Z ${line}`)).toEqual({ outcome: 'bad-time', time: now, dropped: 1 });
    expect(read(`[2026-11-21 24:00:00] ${line}`)).toEqual({ outcome: 'bad-time', time: now, dropped: 2 });
    // In a language that we do not read, it is not a time: the line counts when it arrives.
    expect(read(`Xyz 21 07:00:00 ${line}`)).toEqual({ outcome: 'failure', time: now, dropped: 2 });
  });

  test('within the message', async () => {
    const read = await reader(build, 'from {ip} at {timestamp}{end}');
    expect(read('from 192.0.2.7 at 2026/11/21 07:59:60')).toMatchObject({ outcome: 'failure', dropped: 0 });
    expect(read('from 192.0.2.7 at 2026/11/21 07:60:00')).toMatchObject({ outcome: 'bad-time', dropped: 1 });
    expect(read('2026-11-21T07:00:00Z from 192.0.2.7 at 0000/11/21 07:00:00')).toMatchObject({ outcome: 'bad-time' });
    expect(read('from 192.0.2.7 at 9999999999')).toMatchObject({ outcome: 'no-pattern' });
  });

  test('an attacker’s text at the start of a line hides nobody by looking like an impossible time', async () => {
    const read = await reader(build, '{user} failed from {ip}{end}');
    const hidden = read('Nov 32 25:61:61 x failed from 192.0.2.7');
    expect(hidden).toEqual({ outcome: 'failure', time: now, dropped: 0 });
  });

  test('a line that an ignore pattern matches is not dropped for its time', async () => {
    const read = await reader(build, 'refused {ip}{end}', 'refused 192.0.2.9{end}');
    expect(read('2026-11-31T07:00:00Z refused 192.0.2.9')).toMatchObject({ outcome: 'ignored', dropped: 0 });
  });
});
