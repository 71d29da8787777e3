import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { metricsRowsMax } from '../../src/limits.ts';
import { exposition, type Series } from '../../src/observe/metrics.ts';
import { readExposition } from '../support/exposition.ts';
import { checkSeries } from '../support/series.ts';

const build: Series = {
  name: 'fail2zig_build_info',
  help: 'Version of fail2zig.',
  type: 'gauge',
  labels: ['version', 'node'],
  read: () => [[['1.2.3', 'v24.0.0'], 1]],
};

const read = async (series: Series[]) => readExposition(Buffer.from(await exposition(series)));

const bans = (rows: [string[], number][]): Series => ({
  name: 'fail2zig_bans_total',
  help: 'Bans that the kernel accepted.',
  type: 'counter',
  labels: ['jail'],
  read: () => rows,
});

const gauge = (value: number): Series => ({
  name: 'fail2zig_table_slots',
  help: 'Slots of the table.',
  type: 'gauge',
  labels: [],
  read: () => value,
});

describe('the page', () => {
  test('reads as the format describes it', async () => {
    const page = await exposition([build, gauge(700_000), bans([[['sshd'], 3]])]);
    expect(page).toBe(
      [
        '# HELP fail2zig_build_info Version of fail2zig.',
        '# TYPE fail2zig_build_info gauge',
        'fail2zig_build_info{version="1.2.3",node="v24.0.0"} 1',
        '# HELP fail2zig_table_slots Slots of the table.',
        '# TYPE fail2zig_table_slots gauge',
        'fail2zig_table_slots 700000',
        '# HELP fail2zig_bans_total Bans that the kernel accepted.',
        '# TYPE fail2zig_bans_total counter',
        'fail2zig_bans_total{jail="sshd"} 3',
        '',
      ].join('\n'),
    );
  });

  test('any label value and any help text comes back as it went in', async () => {
    // Among all of Unicode the bytes that the format escapes would be rare.
    const text = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.string({ unit: fc.constantFrom('"', '\\', '\n', '}', 'n'), minLength: 1 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(text, { maxLength: 5 }), text, async (jails, help) => {
        const series = { ...bans(jails.map((jail, index) => [[jail], index])), help };
        const family = (await read([series])).get('fail2zig_bans_total');
        expect(family?.help).toBe(help);
        expect(family?.samples).toEqual(jails.map((jail, index) => ({ labels: { jail }, value: index })));
      }),
      { numRuns: 1_000 },
    );
  });

  test('a lone surrogate does not make the page invalid UTF-8', async () => {
    const page = await read([bans([[['\ud800'], 1]])]);
    expect(page.get('fail2zig_bans_total')?.samples[0]?.labels).toEqual({ jail: '\ufffd' });
  });

  test('any number comes back as it went in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double(), async (value) => {
        const back = (await read([gauge(value)])).get('fail2zig_table_slots')?.samples[0]?.value;
        expect(back).toBe(Object.is(value, -0) ? 0 : value);
      }),
    );
  });

  test('values that come later stand where the table has them', async () => {
    const later: Series = { ...bans([]), read: async () => [[['sshd'], 3]] };
    expect(await exposition([later, gauge(1)])).toBe(await exposition([bans([[['sshd'], 3]]), gauge(1)]));
  });

  test('a series without end is cut', async () => {
    function* endless(): Generator<[string[], number]> {
      for (let index = 0; ; index++) yield [[String(index)], index];
    }
    const series: Series = { ...bans([]), read: endless };
    expect((await read([series])).get('fail2zig_bans_total')?.samples).toHaveLength(metricsRowsMax);
  });

  test('label values that do not fit the labels are a bug that shows', async () => {
    await expect(exposition([bans([[[], 1]])])).rejects.toThrow('wrong label values');
    await expect(exposition([bans([[['a', 'b'], 1]])])).rejects.toThrow('wrong label values');
  });
});

describe('the table', () => {
  test.each([
    ['a foreign name', { ...gauge(1), name: 'node_load' }, 'name'],
    ['a name with a capital', { ...gauge(1), name: 'fail2zig_Bans' }, 'name'],
    ['a gauge that ends in _total', { ...gauge(1), name: 'fail2zig_slots_total' }, '_total'],
    ['a counter that does not', { ...bans([]), name: 'fail2zig_bans' }, '_total'],
    ['no help', { ...gauge(1), help: '' }, 'help'],
    ['a reserved label', { ...bans([]), labels: ['__name__'] }, 'label'],
    ['a label twice', { ...bans([]), labels: ['jail', 'jail'] }, 'twice'],
  ])('%s is refused', (_name, series, why) => {
    expect(() => checkSeries([series as Series])).toThrow(why);
  });

  test('a series twice is refused', () => {
    expect(() => checkSeries([gauge(1), gauge(2)])).toThrow('twice');
    expect(() => checkSeries([gauge(1), bans([])])).not.toThrow();
  });
});

test('the official reader agrees', async () => {
  const page = await exposition([build, gauge(1e21), bans([[['a"b\\c\nd\t\u2028é'], 3]])]);
  const script = [
    'import sys, json',
    'from prometheus_client.parser import text_string_to_metric_families as parse',
    'print(json.dumps([[s.name, s.labels, s.value] for f in parse(sys.stdin.buffer.read().decode()) for s in f.samples]))',
  ].join('\n');
  const promtool = spawnSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' });
  const python = spawnSync('python3', ['-c', script], {
    input: page,
    encoding: 'utf8',
    // The set-up unpacks Debian's package there.
    env: { ...process.env, PYTHONPATH: 'build/tools/usr/lib/python3/dist-packages' },
  });
  if (!promtool.error) expect(promtool.stdout + promtool.stderr).toBe('');
  const pythonHasParser = !python.error && !python.stderr.includes('ModuleNotFoundError');
  if (pythonHasParser) {
    expect(python.stderr).toBe('');
    expect(JSON.parse(python.stdout)).toEqual([
      ['fail2zig_build_info', { version: '1.2.3', node: 'v24.0.0' }, 1],
      ['fail2zig_table_slots', {}, 1e21],
      ['fail2zig_bans_total', { jail: 'a"b\\c\nd\t\u2028é' }, 3],
    ]);
  }
  if (promtool.error && !pythonHasParser) {
    console.warn(
      'NOT CHECKED against an official parser: neither promtool (apt-get install prometheus) nor prometheus_client ' +
        '(apt-get install python3-prometheus-client) is here; our own strict reader has checked the page.',
    );
  }
});
