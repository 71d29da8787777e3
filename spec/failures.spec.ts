/**
 * What happens when things fail, and what we promise to those who find a failure.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { ConfigError } from '../src/config/problem.ts';
import { claim, given, sabotaged, twin } from './claim.ts';
import { compileText, validConfig } from './support/configuration.ts';

/** The text of a markdown section, up to the next heading of its level. */
function section(text: string, heading: string): string {
  const [, after = ''] = text.split(`\n## ${heading}\n`);
  return after.split('\n## ')[0] ?? '';
}

const securityPage = readFileSync(join(import.meta.dirname, '..', 'SECURITY.md'), 'utf8');

claim(
  'AU-5',
  given(securityPage),
  (text) => {
    const promises = section(text, 'Reporting a vulnerability');
    for (const promise of ['private advisory', '48 hours', '14 days', '90 days', 'no bounty', 'no legal action']) {
      assert.ok(promises.includes(promise), `the reporting section does not say "${promise}"`);
    }
    return '48 h, 14 d, 90 d, no bounty: in SECURITY.md, "Reporting a vulnerability"';
  },
  [
    twin(
      'a page without the section',
      given(securityPage.replace('## Reporting a vulnerability', '## Contact')),
      /does not say "private advisory"/,
    ),
    sabotaged('reports are acknowledged soon', /does not say "48 hours"/),
    sabotaged('what is disclosed when is left open', /does not say "90 days"/),
  ],
);

type Compile = (text: string) => unknown;

/** A text with one unknown key, and where that key stands. */
const unknownKeys: [text: string, line: number, column: number][] = [
  [`bantme = "1h"\n${validConfig}`, 1, 1],
  [`[memory]\n  ceilling = "64MB"\n${validConfig}`, 2, 3],
  [`${validConfig}bantyme = "1h"\n`, 4, 1],
  [`${validConfig}\n[jail.sshd]\nenabled = true\n`, 5, 2],
  [`[defaults]\nmaxretry = 5\n\tmaxretries = 3\n${validConfig}`, 3, 2],
  ...['control', 'firewall', 'log', 'metrics', 'state'].map((table): [string, number, number] => [
    `[${table}]\n  colour = "red"\n${validConfig}`,
    2,
    3,
  ]),
  [`[[filter]]\nname = "own"\npatterns = ["from <address>"]\n colour = "red"\n${validConfig}`, 4, 2],
  [`[[filter]]\nname = "own"\n[[filter.patterns]]\npattern = "from {ip}"\n colour = "red"\n${validConfig}`, 5, 2],
];

/** Line and column at which an unknown key is refused; undefined if the text is accepted. */
function placeOfRefusal(compile: Compile, text: string): [number, number] | undefined {
  try {
    compile(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problem = error.problems.find(({ kind }) => kind === 'unknown-key');
    return problem && [problem.line, problem.column];
  }
}

claim(
  ['FM-5', 'LP-10'],
  given<Compile>(compileText),
  (compile) => {
    assert.equal(placeOfRefusal(compile, validConfig), undefined, 'a sound configuration is refused');
    for (const [text, line, column] of unknownKeys) {
      assert.deepEqual(placeOfRefusal(compile, text), [line, column], `unknown key at ${line}:${column}`);
    }
    return `${unknownKeys.length} unknown keys (top level, defaults, jails, filters and every section): refused with line and column`;
  },
  [
    twin('a reader that takes any TOML', given<Compile>(parse), /unknown key at/),
    sabotaged('unknown keys of [[filter]] are passed over', /unknown key at 4:2/),
    sabotaged('a problem says no place', /unknown key at/),
  ],
);
