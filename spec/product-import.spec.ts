/**
 * Coming from fail2ban: a tree is read as fail2ban reads it, what cannot be carried over is
 * reported, and the filters that most hosts use agree with fail2ban on known lines.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail2banConfig, runWithFail2ban } from '../scripts/lab/fail2ban.ts';
import { compileConfig } from '../src/config/compile.ts';
import { knownFilters } from '../src/config/known-filters.ts';
import { tryLines } from '../src/config/load.ts';
import { type Imported, importTree } from '../src/import/import.ts';
import { summaryLine } from '../src/import/report.ts';
import type { CoreConfig, JailConfig } from '../src/types.ts';
import {
  allRecorded,
  differencesFrom,
  type ExamineWith,
  examineWith,
  linesOf,
  twenty,
  type Record as Verdicts,
  verdictsOfFail2ban,
} from '../test/support/record.ts';
import { claim, given, type Supply, sabotaged, twin } from './claim.ts';
import { missing } from './environment.ts';
import { breakage, brokenTree } from './support/scenarios.ts';

const tree = 'test/corpus/fail2ban';

type Import = (folder: string, enabled?: readonly string[]) => Imported;

/** The import, with something else in its text. */
const changed =
  (change: (text: string) => string): Import =>
  (folder, enabled) => {
    const imported = importTree(folder, enabled);
    return { ...imported, text: change(imported.text) };
  };

const without = (line: RegExp): Import => changed((text) => text.replace(line, ''));

function compiled({ text }: Imported): CoreConfig {
  return compileConfig(text, 'fail2zig.toml', { filters: knownFilters, groupId: () => 0 }).config;
}

/** A copy of the tree that `change` may write into. */
function withTree<T>(change: (folder: string) => void, use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'import-'));
  try {
    cpSync(tree, folder, { recursive: true });
    change(folder);
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const lines = {
  counted: [
    '2025-03-07T18:00:00+00:00 host custom-app[103]: login failed for a b from 192.0.2.9 port 40024',
    '2025-03-07T18:00:00+00:00 host custom-app-worker[103]: login failed for x from 8.8.8.8 from 2001:db8::9',
    '2025-03-07T18:00:00+00:00 host custom-app: too many logins from [192.0.2.9]: status 404',
  ],
  not: [
    '2025-03-07T18:00:00+00:00 host custom-app[103]: login failed for x from 203.0.113.9',
    '2025-03-07T18:00:00+00:00 host custom-app[103]: login failed for x from 192.0.2.9 port x',
    '2025-03-07T18:00:00+00:00 host other[103]: login failed for x from 192.0.2.9',
    '2025-03-07T18:00:00+00:00 host custom-app: too many logins from [192.0.2.9]: status 504',
  ],
};

claim(
  'LP-11',
  given<Import>(importTree),
  (run) => {
    const { jails, filters } = compiled(run(tree));
    assert.deepEqual(
      jails.map(({ name, filter, mode }) => [name, filter, mode]),
      [
        ['sshd', 'sshd', 'aggressive'],
        ['nginx-http-auth', 'nginx-http-auth', 'normal'],
        ['custom-app', 'custom-app', ''],
      ],
      'the jails with their filters',
    );
    const [own] = filters;
    const outcomes = (of: string[]): string[] => tryLines(own!, of).map(({ outcome }) => outcome);
    assert.deepEqual(
      outcomes(lines.counted),
      lines.counted.map(() => 'failure'),
      'lines that count',
    );
    assert.ok(
      outcomes(lines.not).every((outcome) => outcome !== 'failure'),
      'lines that do not',
    );
    const reach = withLine(run, 'port = ssh,8022\nprotocol = tcp,udp');
    const sshd = compiled(reach).jails.find(({ name }) => name === 'sshd');
    assert.deepEqual(
      [sshd?.ports.map(({ first }) => first), sshd?.protocols],
      [
        [22, 8022],
        ['tcp', 'udp'],
      ],
      'ports and protocols of a jail',
    );
    return `3 jails, a filter of the tree's own in ${own!.patterns.length} patterns: ${lines.counted.length} lines count, ${lines.not.length} do not`;
  },
  [
    twin(
      'a jail that is forgotten',
      given(without(/\n\[jails\.sshd\][\s\S]*?(?=\n\[|\n# \w+:)/)),
      /the jails with their filters/,
    ),
    twin('a mode that is forgotten', given(without(/\nmode = .*/)), /the jails with their filters/),
    twin('a filter of which a pattern is missing', given(without(/\n {2}["']too many .*/g)), /lines that count/),
    sabotaged('an ignoreregex is forgotten', /lines that do not/),
  ],
);

/** Value of a jail, and the file of the tree that says so. */
const origins: [file: string, jail: string, value: (jail: JailConfig) => unknown, wanted: unknown][] = [
  ['jail.conf', 'sshd', ({ ports }) => ports, [{ first: 22, last: 22 }]],
  ['jail.local', 'sshd', ({ maxretry }) => maxretry, 3],
  ['jail.d/10-app.conf', 'custom-app', ({ findtime }) => findtime, 3_600],
  ['paths-ours-common.conf', 'sshd', ({ logpath }) => logpath, ['/var/log/auth.log']],
  ['filter.d/custom-app.conf', 'custom-app', ({ filter }) => filter, 'custom-app'],
];

claim(
  'LP-28',
  given<Import>(importTree),
  (run) => {
    const imported = run(tree);
    const { jails } = compiled(imported);
    for (const [file, name, value, wanted] of origins) {
      const jail = jails.find((each) => each.name === name);
      assert.deepEqual(jail && value(jail), wanted, `what ${file} says of ${name}`);
    }
    const told = imported.notes.find(({ text }) => text.includes('sendmail-ours'));
    assert.ok(told?.hint?.includes('watch'), 'the action of action.d is told, with what replaces it');
    const local = withTree(
      (folder) =>
        writeFileSync(join(folder, 'filter.d/custom-app.local'), '[Definition]\nfailregex = ^denied <HOST>$\n'),
      (folder) => run(folder).text,
    );
    assert.match(local, /denied \{ip\}\{end\}/, 'filter.d/custom-app.local stands above the .conf');
    return `${origins.length} files of the tree each found at what only they say; .local above .conf; the action of action.d told`;
  },
  [
    sabotaged('jail.local is not read', /what jail\.\w+ says of sshd/),
    twin(
      'one that follows no include',
      given(changed((text) => text.replace('auth.log', 'messages'))),
      /paths-ours-common/,
    ),
    twin(
      'one that forgets actions',
      given<Import>((folder) => ({ ...importTree(folder), notes: [] })),
      /the action of/,
    ),
    twin('one deaf to .local', given(changed((text) => text.replace(/denied/g, 'refused'))), /above the \.conf/),
  ],
);

/** What fail2ban's own readers say of each jail. */
interface Theirs {
  maxretry: number;
  findtime: number;
  bantime: number;
  ignoreip: string[];
  logpath: string[];
}

/** The result for our own tree with one more line for its sshd jail. */
function withLine(run: Import, line: string): Imported {
  return withTree(
    (folder) => {
      const path = join(folder, 'jail.local');
      writeFileSync(path, readFileSync(path, 'utf8').replace('[sshd]\n', `[sshd]\n${line}\n`));
    },
    (folder) => run(folder),
  );
}

claim(
  'WHY-15',
  given<Import>(importTree),
  (run) => {
    assert.match(withLine(run, 'ignoreself = false').text, /^ignoreself = false\b/m, 'ignoreself of a jail');
    const refused = withLine(run, 'ignorecommand = /bin/true <ip>');
    const isOff = refused.plan.jails.some(({ original, enabled }) => original === 'sshd' && !enabled);
    const isTold = refused.notes.some(
      ({ jail, weight, text }) => jail === 'sshd' && weight === 'lost' && /ignorecommand/.test(text),
    );
    assert.ok(isOff && isTold, 'a jail whose ignorecommand does not come over is left out and told');
    let compared = 0;
    let told = 0;
    for (const folder of [fail2banConfig, tree]) {
      const theirs = runWithFail2ban('test/compare/fail2ban-jails.py', [folder]) as Record<string, Theirs>;
      assert.ok(folder === tree || Object.keys(theirs).length > 80, `${Object.keys(theirs).length} jails of the tree`);
      for (const [name, wanted] of Object.entries(theirs)) {
        const imported = run(folder, [name]);
        const plan = imported.plan.jails.find(({ original }) => original === name);
        assert.ok(plan, `jail ${name} is planned`);
        if (!plan.enabled) {
          const why = imported.notes.filter(({ jail, weight }) => jail === name && weight === 'lost');
          assert.ok(why.length > 0, `jail ${name} is left out and told`);
          told++;
          continue;
        }
        const jail = compiled(imported).jails.find((each) => each.name === plan.name);
        assert.ok(jail, `jail ${name} is in the configuration`);
        const { maxretry, findtime, bantime, ignoreip, logpath } = jail;
        const ours = { maxretry, findtime, bantime, ignored: ignoreip.length };
        const { maxretry: retry, findtime: window, bantime: length } = wanted;
        const same = { maxretry: retry, findtime: window, bantime: length, ignored: wanted.ignoreip.length };
        assert.deepEqual(ours, same, `thresholds of ${name}`);
        const paths = wanted.logpath.map((path) => path.replace(/\[[^\]]*\]/g, '?'));
        if (jail.journal === undefined) assert.deepEqual(logpath, [...new Set(paths)], `logs of ${name}`);
        compared++;
      }
    }
    return `${compared} jails, Debian's stock ones each enabled alone, with the thresholds, ignore lists and logs that fail2ban itself reads; ${told} told as not protected`;
  },
  [
    twin('one deaf to bantime', given(changed((text) => text.replace(/\nbantime = .*/g, ''))), /thresholds of/),
    sabotaged('ignored addresses do not come over', /thresholds of/),
    twin(
      'one that follows another log',
      given(changed((text) => text.replaceAll('/var/log/', '/var/other/'))),
      /logs of/,
    ),
  ],
  { needs: ['fail2ban'], timeoutMs: 300_000 },
);

interface Told {
  status: number | null;
  out: string;
  /** What was written; undefined: nothing. */
  file: string | undefined;
  checked: number | null;
}

interface Typed {
  run: (folder: string) => Told;
  remove?: () => void;
}

/** `fail2zig import` and `fail2zig check` as an operator types them. */
function typedIn(program: string, change = (told: Told): Told => told): (folder: string) => Told {
  return (folder) => {
    const output = join(folder, 'fail2zig.toml');
    const run = (...words: string[]) => spawnSync(program, words, { encoding: 'utf8', timeout: 60_000 });
    const { status, stdout: out } = run('--import-config', folder, '--output', output);
    const file = existsSync(output) ? readFileSync(output, 'utf8') : undefined;
    return change({ status, out, file, checked: run('check', '--config', output).status });
  };
}

const asTyped = (change?: (told: Told) => Told): Supply<Typed> => given({ run: typedIn('bin/fail2zig', change) });

/** The same of a program that is built with a breakage in it. */
const brokenAsTyped = (name: string): Supply<Typed> => ({
  make: async () => {
    const { root, remove } = await brokenTree([breakage(name)]);
    return { run: typedIn(join(root, 'bin/fail2zig')), remove };
  },
  dispose: ({ remove }) => remove?.(),
});

/** Compares the last line with the plan; returns the path in it. */
function assertCounts(out: string, imported: Imported): string | undefined {
  const [, jails, warnings, path] =
    /→ translated (\d+) jails(?: · \d+ not protected)? · (\d+) warnings · wrote (\S+)/.exec(out) ?? [];
  assert.equal(Number(jails), compiled(imported).jails.length, 'jails in the last line');
  assert.equal(Number(warnings), imported.notes.filter(({ weight }) => weight === 'warning').length, 'warnings in it');
  return path;
}

function addOddJails(folder: string): void {
  const unknown = '[odd]\nenabled = true\nfilter = nowhere\nlogpath = /var/log/odd.log\n';
  const idle = '[idle]\nenabled = true\nport = ssh\nfilter = sshd\nlogpath = /var/log/auth.log\naction =\n';
  writeFileSync(join(folder, 'jail.d/99-odd.conf'), unknown + idle);
}

claim(
  'LP-35',
  asTyped(),
  ({ run }) => {
    const { status, out, file } = withTree(() => undefined, run);
    const imported = importTree(tree);
    const path = assertCounts(out, imported);
    assert.ok(path?.endsWith('fail2zig.toml') && file !== undefined, 'the file that it names is written');
    assert.equal(status, 3, 'exit status with warnings');
    // Jails that cannot be carried over are reported separately from those that are.
    withTree(addOddJails, (folder) => {
      const told = run(folder);
      assertCounts(told.out, importTree(folder));
      assert.match(told.out, / · 2 not protected · /, 'jails that are not protected are told');
      assert.equal(told.status, 4, 'exit status with a jail that is not protected');
    });
    return `${summaryLine(imported, '/etc/fail2zig.toml')}; a jail without a filter and one without an action told as not protected`;
  },
  [
    twin(
      'a count of jails that is wrong',
      asTyped((told) => ({ ...told, out: told.out.replace('3 jails', '2 jails') })),
      /jails in the last line/,
    ),
    twin(
      'an import that counts no warning',
      brokenAsTyped('no warning is counted in the last line of an import'),
      /warnings in it/,
    ),
    twin(
      'a silent warning',
      asTyped((told) => ({ ...told, out: told.out.replace('2 warnings', '0 warnings') })),
      /warnings in it/,
    ),
    twin(
      'a file that is not written',
      asTyped((told) => ({ ...told, file: undefined })),
      /is written/,
    ),
    twin(
      'an exit status that says all is well',
      asTyped((told) => ({ ...told, status: 0 })),
      /exit status/,
    ),
  ],
  { needs: ['built'], timeoutMs: 240_000 },
);

claim(
  'LP-34',
  asTyped(),
  ({ run }) => {
    const { file, checked } = withTree(() => undefined, run);
    assert.ok(file !== undefined, 'the first command writes a configuration');
    assert.equal(checked, 0, 'which a start takes as it is');
    return '`fail2zig --import-config /etc/fail2ban`, then a start: what the first writes passes `fail2zig check` untouched; stopping the old service is docs/migrating-from-fail2ban.md';
  },
  [
    twin(
      'an import that writes half of its file',
      brokenAsTyped('an import writes half of its file'),
      /which a start takes as it is/,
    ),
    twin(
      'one that writes nothing',
      asTyped((told) => ({ ...told, file: undefined })),
      /writes a configuration/,
    ),
    twin(
      'one whose file is refused',
      asTyped((told) => ({ ...told, checked: 78 })),
      /as it is/,
    ),
  ],
  { needs: ['built'], timeoutMs: 240_000 },
);

/** The examiner that sees another line, or none. */
const seeing =
  (change: (line: string) => string): ExamineWith =>
  async (filter) => {
    const examine = await examineWith(filter);
    return (line) => examine(change(line));
  };

claim(
  'LP-37',
  given(examineWith),
  async (examine) => {
    const [record, newest] = allRecorded() as [Verdicts, Verdicts];
    const filters = new Set(record.rows.map(([filter]) => filter));
    const without = twenty.filter((name) => !filters.has(name));
    assert.deepEqual(without, [], 'filters of the twenty without lines in the record');
    assert.ok(
      [...twenty].every((name) => knownFilters.some((filter) => filter.name === name)),
      'and is built in',
    );
    const { agree, differences } = await differencesFrom(record, examine);
    const beside = await differencesFrom(newest, examine);
    const unknown = [...differences, ...beside.differences].filter(({ reason }) => reason === undefined);
    assert.deepEqual(unknown, [], 'lines that differ without a reason');
    if ((await missing(['fail2ban'])) === undefined) {
      const { version, rows } = verdictsOfFail2ban(linesOf(record));
      if (version === record.version) assert.deepEqual(rows, record.rows, 'what fail2ban says now, beside the record');
    }
    const only = differences.filter(({ theirs }) => theirs === null).length;
    const twice = differences.filter(({ reason }) => reason?.startsWith('one attempt')).length;
    return `${record.rows.length} lines of our corpus for ${filters.size} filters, the twenty among them: ${agree} as fail2ban ${record.version}, ${only} that only ours knows, ${twice} counted once here, ${differences.length - only - twice} others, each with its reason (npm run compare); of ${newest.rows.length} lines ${beside.agree} as fail2ban ${newest.version}, its newest revision, ${beside.differences.length} others with reasons`;
  },
  [
    twin(
      'a filter that misses what follows a name',
      given(seeing((line) => line.replace('for root', 'of root'))),
      /without a reason/,
    ),
    twin(
      'an engine that reads another address',
      given(seeing((line) => line.replaceAll('192.0.2.7', 'x'))),
      /without a reason/,
    ),
  ],
  { timeoutMs: 120_000 },
);
