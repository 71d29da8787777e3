/** Which of fail2ban's datepatterns describe times that we recognise without them. */
import { expect, test } from 'vitest';
import { type DateVerdict, judgeDatePattern } from '../../src/import/date-pattern.ts';

test.each<[pattern: string, verdict: DateVerdict]>([
  ['%%Y-%%m-%%d %%H:%%M:%%S', 'read'],
  ['^%Y-%m-%dT%H:%M:%S%z', 'read'],
  ['^\\[%%Y-%%m-%%d %%H:%%M:%%S(?:\\.%%f)?\\]', 'read'],
  ['%%d/%%b/%%Y:%%H:%%M:%%S %%z', 'read'],
  ['%%a %%b %%d %%H:%%M:%%S(?:\\.%%f)? %%Y', 'read'],
  ['{^LN-BEG}%%ExY-%%Exm-%%Exd %%ExH:%%ExM:%%ExS', 'read'],
  ['^%%b\\s+%%d\\s+%%Y\\s+%%I:%%M:%%S %%p', 'read'],
  ['%%d %%b %%Y %%H:%%M:%%S', 'read'],
  ['^EPOCH', 'read'],
  ['TAI64N', 'read'],
  ['{^LN-BEG}', 'read'],
  ['{DATE}', 'read'],
  ['', 'read'],
  ['%%Y-%%m-%%d %%H:%%M:%%S\n{^LN-BEG}EPOCH', 'read'],
  ['{NONE}', 'arrival'],
  ['^LEPOCH', 'unread'],
  ['%%m/%%d/%%Y %%H:%%M:%%S', 'unread'],
  ['%%Y%%m%%d%%H%%M%%S', 'unread'],
  ['%%H:%%M:%%S', 'unread'],
  ['%%Y-%%m-%%d %%H:%%M:%%S\n%%Y%%m%%d%%H%%M%%S', 'unread'],
  ['%%Y-%%j', 'unknown'],
  ['^(?:a|%%Y)-%%m', 'unknown'],
  ['(?P<date>%%Y)', 'unknown'],
])('%j: %s', (pattern, verdict) => {
  expect(judgeDatePattern(pattern)).toBe(verdict);
});
