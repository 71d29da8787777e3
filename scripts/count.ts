/**
 * `npm run count`: lines of code by part, beside their limits, the original and fail2ban as
 * packaged. Exit status 1 if a part exceeds its limit.
 */
import { originalLines, type SizeLimit, sizeLimits } from '../spec/size.ts';
import { readCommandLine } from './lab/command-line.ts';
import { countLines, fail2banFiles, parts } from './lab/lines.ts';

const usage = `npm run count -- [--json]

  Lines of code by part (cloc; comments and blank lines apart, emitted matchers left out), with the limits of
  spec/size.ts. Exit status 1 where a part is over its limit.`;

const { values } = readCommandLine('count', usage, { json: { type: 'boolean' } });
const limits: Readonly<Record<string, SizeLimit>> = sizeLimits;
const rows = parts().map(({ name, what, files }) => ({
  name,
  what,
  ...countLines(files),
  linesMax: limits[name]?.linesMax,
}));
const fail2ban = fail2banFiles();
const peer = fail2ban.length === 0 ? undefined : countLines(fail2ban);

if (values.json) {
  console.log(JSON.stringify({ parts: rows, original: { code: originalLines }, fail2ban: peer }, null, 2));
} else {
  const print = (what: string, code: number | string, comment: number | string, files: number | string, limit = '') =>
    console.log(
      `${what.padEnd(34)} ${String(code).padStart(7)} ${String(comment).padStart(8)} ${String(files).padStart(6)}  ${limit}`,
    );
  print('', 'code', 'comment', 'files', 'limit');
  for (const { what, code, comment, files, linesMax } of rows) {
    print(what, code, comment, files, linesMax === undefined ? '' : `${linesMax}${code > linesMax ? ' EXCEEDED' : ''}`);
  }
  print('the original, in Zig', originalLines, '', '');
  if (peer === undefined) console.log('fail2ban is not here to be counted: npm run setup -- --tools');
  else print('fail2ban as packaged, in Python', peer.code, peer.comment, peer.files);
}
process.exitCode = rows.some(({ code, linesMax }) => linesMax !== undefined && code > linesMax) ? 1 : 0;
