/** The memory page: one ceiling, a block that cannot grow, a table that gives way by policy. */
import assert from 'node:assert/strict';
import { claim, given, twin } from './claim.ts';
import { compileText, validConfig } from './support/configuration.ts';

const mebibyte = 1024 * 1024;
type CeilingOf = (text: string) => number;
const ceilingOf: CeilingOf = (text) => compileText(text).memory.ceilingBytes;

claim(
  'MM-06',
  given(ceilingOf),
  (ceiling) => {
    assert.equal(ceiling(validConfig), 64 * mebibyte, 'the default');
    for (const megabytes of [48, 96, 512]) {
      const text = `[memory]\nceiling = "${megabytes}MB"\n${validConfig}`;
      assert.equal(ceiling(text), megabytes * mebibyte, `${megabytes}MB`);
    }
    return 'absent: 67108864 bytes; 48MB, 96MB and 512MB as written';
  },
  [
    twin(
      'a reader with another default',
      given<CeilingOf>((text) => (text === validConfig ? 32 * mebibyte : ceilingOf(text))),
    ),
    twin(
      'a reader that ignores the key',
      given<CeilingOf>(() => ceilingOf(validConfig)),
    ),
  ],
);
