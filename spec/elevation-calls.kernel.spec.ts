/**
 * What an attacker's code inside the core can still do: capabilities, files, system calls. The
 * attempts are made in the real daemon, whose bundle starts with a hook.
 */
import assert from 'node:assert/strict';
import { codeRanges, filled } from '../src/confined.ts';
import { rowsFor, runFilter } from '../src/confinement/filter.ts';
import { allowed, type CallName, callNumbers, deadly } from '../src/confinement/system-calls.ts';
import { attemptWith } from '../test/support/attempt.ts';
import { attempts, underFilter } from '../test/support/raw-calls.ts';
import { type Call, outsideOf, within } from '../test/support/seccomp.ts';
import { claim, given, twin } from './claim.ts';
import { assertScene, breakage, type Scenarios, scenarios } from './support/scenarios.ts';

const needs = ['linux', 'root', 'namespaces', 'built'] as const;

const said = ({ number, arguments: given = [] }: Call): string => `call ${number}(${given.join(', ')})`;

/** Calls as the filter of a started core decides them. */
function judge(): { passed: number; refused: number } {
  const code = codeRanges('70000000-70010000 rwxp 00000000 00:00 0 \n');
  let [passed, refused] = [0, 0];
  for (const backend of ['auto', 'xdp'] as const) {
    const rows = rowsFor(backend, false);
    const filter = filled(runFilter(rows, 'enforce', process.arch as 'x64'), code);
    const inside = rows.flatMap((row) => within(row, code));
    const outside: Call[] = [
      ...rows.flatMap((row) => outsideOf(row, rows, code)),
      ...deadly.flatMap((name) => (rows.some((row) => row.call === name) ? [] : [{ number: callNumbers[name][0] }])),
    ];
    for (const [index, verdict] of underFilter(filter, inside).entries()) {
      assert.equal(verdict, 'passed', `${backend}: ${said(inside[index]!)} inside of its row`);
      passed += 1;
    }
    for (const [index, verdict] of underFilter(filter, outside).entries()) {
      assert.equal(verdict, 'refused', `${backend}: ${said(outside[index]!)} outside of its row`);
      refused += 1;
    }
  }
  return { passed, refused };
}

claim(
  ['E-01c', 'WHY-02'],
  given(attemptWith('')),
  async (attempt) => {
    const endings = new Map<string, number>();
    for (const [name, { ending }] of Object.entries(attempts)) {
      const end = await attempt(name);
      assert.equal(end, ending, `${name}: how it ends`);
      endings.set(ending, (endings.get(ending) ?? 0) + 1);
    }
    const { passed, refused } = judge();
    const rows = new Set(allowed.map(({ call }): CallName => call)).size;
    return (
      `${[...endings].map(([ending, count]) => `${count} attempts from inside the core: ${ending}`).join('; ')}; ` +
      `${rows} calls in the table: ${passed} calls inside of a row pass, ${refused} outside of one end the process`
    );
  },
  [
    twin('a daemon without the filter', given(attemptWith('[confinement]\nseccomp = "off"\n')), /how it ends/),
    twin('a daemon that only writes down', given(attemptWith('[confinement]\nseccomp = "log"\n')), /how it ends/),
    twin(
      'a daemon without Landlock',
      given(async (name) =>
        attempts[name]?.ending === 'EACCES'
          ? attemptWith('[confinement]\nlandlock = false\n')(name)
          : attempts[name]!.ending,
      ),
      /the passwords: how it ends/,
    ),
  ],
  { needs: [...needs], timeoutMs: 900_000 },
);

const privileges: Scenarios = { confined: ['no thread holds more than the core needs, or can gain it'] };

claim(
  'X-privileges',
  scenarios(privileges),
  assertScene,
  [
    twin(
      'a daemon that keeps its bounding set',
      scenarios(privileges, breakage('the bounding set is kept')),
      /CapBnd of a thread holds more/,
    ),
    twin(
      'a daemon that keeps the groups of its caller',
      scenarios(privileges, breakage('the groups of the caller are kept')),
      /groups of a thread/,
    ),
  ],
  { needs: [...needs], timeoutMs: 600_000 },
);

const files: Scenarios = { confined: ['Landlock alone leaves the logs, the own directories and nothing to run'] };

claim(
  'X-files',
  scenarios(files),
  assertScene,
  [
    twin(
      'a daemon without Landlock',
      scenarios(files, breakage('Landlock is prepared and not applied')),
      /a shell: how it ends/,
    ),
    twin(
      'a daemon that may read all of /etc',
      scenarios(files, breakage('all of /etc may be read')),
      /passwords read: how it ends/,
    ),
  ],
  { needs: [...needs, 'landlock'], timeoutMs: 600_000 },
);
