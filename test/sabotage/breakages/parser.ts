/** Breakages of how lines are read: work, ends, copies, filters, the operator's patterns. */
import type { Breakage } from '../breakage.ts';

export const parser: readonly Breakage[] = [
  {
    name: 'each place where an address may stand looks for the end of the line',
    find: 'if (at >= end) return -1;\n  if (byte(at) === ascii.OPEN_BRACKET)',
    put: 'if (at >= end) return -1;\n  end = findByte(at, end, 10);\n  if (byte(at) === ascii.OPEN_BRACKET)',
    claims: ['D-02a', 'PE-10'],
  },
  {
    name: 'the interpreter measures a text anew at each place where it may end',
    find: '    place = fromRight ? placeBefore(',
    put: '    skipBitmap(at, end, p + TEXT_CLASS - OPERANDS, false);\n    place = fromRight ? placeBefore(',
    claims: ['PE-10'],
  },
  {
    name: 'a filter brings code of its own',
    find: "  name: 'dropbear',\n",
    put: "  name: 'dropbear',\n  ...({ check: (line: string) => line.length > 0 } as object),\n",
    claims: ['PE-05'],
  },
  {
    name: 'a filter has a token that is an expression',
    find: "tokens: [...head, choice('Login', 'login'), literal(",
    put: "tokens: [...head, { kind: 'expression', source: '[Ll]ogin' } as unknown as Token, literal(",
    claims: ['PE-05'],
  },
  {
    name: 'an operator may replace a built-in filter',
    find: 'if (builtIn.includes(table.name)) {',
    put: 'if (builtIn.includes(table.name) && builtIn.length < 0) {',
    claims: ['PE-26', 'WHY-13'],
  },
  {
    name: 'a text in quotes with a bar is one of several',
    find: "'literal' in piece ? { kind: 'literal' as const, text: piece.literal }",
    put: "'literal' in piece ? { kind: 'choice' as const, of: piece.literal.split('|') }",
    claims: ['PE-09'],
  },
  {
    name: 'of several captures within braces the first counts',
    find: 'captureNames.find((known) => known === name)',
    put: "captureNames.find((known) => known === name.split('|')[0])",
    claims: ['PE-09'],
  },
  {
    name: 'the size of the code of sshd is shown for every filter',
    find: 'wasmBytes: sizes[filter.name] ?? 0',
    put: 'wasmBytes: sizes.sshd ?? 0',
    claims: ['PE-07'],
  },
  {
    name: 'of a matcher only the last function is measured',
    find: 'result[file] = (result[file] ?? 0) + (sizes.get(number) ?? 0);',
    put: 'result[file] = sizes.get(number) ?? 0;',
    claims: ['PE-07'],
  },
  {
    name: 'a log is read into a buffer of its own first',
    find: 'const count = native.readAround(this.#descriptor, scratchOf[length]!, buffer, position);',
    put: 'const own = new Uint8Array(buffer.length);\n    const count = native.readAround(this.#descriptor, scratchOf[length]!, own, position);\n    buffer.set(own);',
    claims: ['PE-16', 'MM-23'],
  },
  {
    name: 'each block that is read is text for a moment',
    find: '    return this.core.feed(source, this.at.input,',
    put: "    if (Buffer.from(this.buffer.subarray(0, length)).toString().includes('\\u0000'.repeat(9))) return 0;\n    return this.core.feed(source, this.at.input,",
    claims: ['PE-03', 'MM-07', 'MM-08', 'MM-22'],
  },
  {
    name: 'a run of blanks is not held to the end of the line',
    find: 'while (at < end) {\n    const value = byte(at);\n    if (value !== ascii.SPACE &&',
    put: 'while (at < end + 64) {\n    const value = byte(at);\n    if (value !== ascii.SPACE &&',
    claims: ['PE-19'],
  },
  {
    name: 'an address is read on behind the end of the line',
    find: '  const limit = smaller(end, at + addressBytesMax + 1);\n  let stop = skipDecimal(at, limit);',
    put: '  const limit = at + addressBytesMax + 1;\n  let stop = skipDecimal(at, limit);',
    claims: ['PE-19'],
  },
  {
    name: 'the engine as it is goes into the bundles too',
    find: "const plainEngine = ['./engine.ts', './linear.ts'];",
    put: 'const plainEngine: string[] = [];',
    claims: ['PE-21'],
  },
  {
    name: 'what lies outside the memory is read as zero',
    find: 'export function byte(p: i32): i32 {\n  return load<u8>(p);',
    put: 'export function byte(p: i32): i32 {\n  if (p < 0 || p >= memory.size() << 16) return 0;\n  return load<u8>(p);',
    claims: ['E-01a', 'PE-21'],
  },
  {
    name: 'the scalar build takes no nine for a digit',
    find: 'while (p < end && byte(p) >= 48 && byte(p) <= 57) p++;',
    put: 'while (p < end && byte(p) >= 48 && byte(p) < 57) p++;',
    claims: ['PE-12'],
  },
  {
    name: 'the build with vectors finds a byte behind the end',
    find: 'function nearer(p: i32, end: i32): i32 {\n  return p < end ? p : end;',
    put: 'function nearer(p: i32, end: i32): i32 {\n  return p < end + 64 ? p : end;',
    claims: ['PE-12'],
  },
  {
    name: 'where no backend installs, what each said is not told',
    find: "(${answers || 'none tried'})",
    put: "(${answers.length > 0 ? 'all refused' : 'none tried'})",
    claims: ['D-05b'],
  },
  {
    name: 'where the backend that is asked for refuses, others are tried',
    find: "firewall.backend === 'auto' ? !row.auto(firewall) : firewall.backend !== row.name",
    put: "firewall.backend === 'auto' || attempts.length > 0 ? !row.auto(firewall) : firewall.backend !== row.name",
    claims: ['D-05b'],
  },
  {
    name: 'the compiler leaves out the end of the line that a pattern asks for',
    find: 'return [`if (at !== end) ${fail}`];',
    put: 'return [];',
    claims: ['E-02a'],
  },
  {
    name: 'lines of nginx without a host, with a second client behind a referrer, are believed',
    find: "    either([literal(', host: \"'), some('nonspace'), literal(' referrer: \"')], [literal(', referrer: \"')]),\n    textToFirst(),",
    put: "    literal(', host: \"'),\n    some('nonspace'),\n    literal(' referrer: \"'),\n    textToFirst(),",
    claims: ['E-02a'],
  },
  {
    name: 'a colon behind a leading time belongs to the message',
    find: '  if (p < end && byte(p) === 58) p++;\n  while (p < end && (byte(p) === 32',
    put: '  while (p < end && (byte(p) === 32',
    claims: ['LP-41', 'E-01b', 'PE-24'],
  },
  {
    name: 'who sends mail is charged while the server of passwords is away',
    find: "        ' generic failure',\n",
    put: '',
    claims: ['E-02a'],
    tests: ['test/unit/corpus.test.ts'],
  },
];
