/** What happens when things fail, and what is promised to those who find a failure. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { claim, given, twin } from './claim.ts';

/** The text of a markdown section, up to the next heading of its level. */
function section(text: string, heading: string): string {
  const [, after = ''] = text.split(`\n## ${heading}\n`);
  return after.split('\n## ')[0] ?? '';
}

const readme = readFileSync('README.md', 'utf8');

claim(
  'AU-5',
  given(readme),
  (text) => {
    const promises = section(text, 'Reporting a vulnerability');
    for (const promise of ['private advisory', '48 hours', '14 days', '90 days', 'no bounty', 'no legal action']) {
      assert.ok(promises.includes(promise), `the reporting section does not say "${promise}"`);
    }
    return '48 h, 14 d, 90 d, no bounty: in README, "Reporting a vulnerability"';
  },
  [
    twin('a README without the section', given(readme.replace('## Reporting a vulnerability', '## Contact'))),
    twin('a README that promises no time', given(readme.replace('48 hours', 'some time'))),
  ],
);
