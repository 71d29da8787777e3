/**
 * `npm run compare -- record`: what fail2ban (Debian's package, unpacked by the set-up) says about
 * the lines of our corpus, for every filter that both have, written to test/compare/record.jsonl.
 * LP-37 compares our results with it. With FAIL2BAN_TREE, a source tree of fail2ban's newest
 * revision is used instead: record-newest.jsonl. Without `record`: prints the differences.
 */
import { writeFileSync } from 'node:fs';
import {
  corpusLines,
  differencesFrom,
  recorded,
  recordPath,
  recordText,
  verdictsOfFail2ban,
} from '../test/support/record.ts';
import { fail2banMissing } from './lab/fail2ban.ts';

const missing = fail2banMissing();
if (missing !== undefined) {
  console.error(missing);
  process.exit(1);
}
if (process.argv[2] === 'record') {
  const record = verdictsOfFail2ban(corpusLines());
  writeFileSync(recordPath, recordText(record));
  console.log(`recorded ${record.rows.length} lines with fail2ban ${record.version} in ${recordPath}`);
}
const { agree, differences } = await differencesFrom(recorded());
for (const { filter, line, ours, theirs, reason } of differences) {
  console.log(
    `${filter}: here ${ours}, fail2ban ${theirs ?? 'no failure'}: ${reason ?? 'NO REASON KNOWN'}\n    ${line}`,
  );
}
console.log(`${agree} lines agree, ${differences.length} differ`);
