/**
 * Documents generated from the program's own tables: manual pages (mdoc) and the reference of the
 * configuration. scripts/generate.ts writes them, a test compares.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withFigures } from '../bench/figures-table.ts';
import { newestPeersRun, peersPicture, withPeersTable } from '../bench/peers-table.ts';
import { commands, exitCodes, exitMeanings, globalOptions } from '../src/client/help.ts';
import { usage as auditUsage } from '../src/commands/audit.ts';
import { usage as checkUsage } from '../src/commands/check.ts';
import { usage as compareUsage } from '../src/commands/compare.ts';
import { usage as filtersUsage } from '../src/commands/filters.ts';
import { usage as importUsage } from '../src/commands/import.ts';
import { usage as matchUsage } from '../src/commands/match.ts';
import { usage as removeUsage } from '../src/commands/remove.ts';
import { usage as replayUsage } from '../src/commands/replay.ts';
import { commands as daemonCommands } from '../src/commands/table.ts';
import { type KeyRow, reference } from '../src/config/reference.ts';
import { filters } from '../src/filters/index.ts';
import { journalOrigins } from '../src/filters/journal.ts';
import { usage as fleetUsage } from '../src/fleet/usage.ts';
import { boundsDocument } from './bounds.ts';
import { outputSchema } from './output-schema.ts';
import { withScores } from './scores.ts';

/** The day on which the pages were last rewritten. */
const written = 'November 30, 2026';

const usages: Readonly<Record<string, string>> = {
  check: checkUsage,
  compare: compareUsage,
  audit: auditUsage,
  filters: filtersUsage,
  import: importUsage,
  match: matchUsage,
  remove: removeUsage,
  replay: replayUsage,
};

/** Text as a manual page needs it. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('…', '...')
    .replace(/^([.'])/gm, '\\&$1');
}

/** Sentences, each on lines of its own of at most 80 bytes, as mdoc wants them. */
function prose(text: string): string {
  return text
    .replaceAll(/([.!?]) (?=[A-Z"[])/g, '$1\n')
    .split('\n')
    .flatMap((sentence) => sentence.match(/.{1,78}(?: |$)/g) ?? [])
    .map((line) => `${escaped(line.trimEnd())}\n`)
    .join('');
}

/** A word or option as an argument of a macro. */
const quoted = (text: string): string => `"${escaped(text).replaceAll('"', '""')}"`;

const literal = (text: string): string => `.Bd -literal -offset 2n\n${escaped(text.trimEnd())}\n.Ed\n`;

const head = (name: string, section: number, about: string): string =>
  `.\\" Made by npm run generate. Do not edit.\n.Dd ${written}\n.Dt ${name.toUpperCase()} ${section}\n.Os\n.Sh NAME\n.Nm ${name}\n.Nd ${about}\n`;

const tagged = (rows: readonly (readonly [string, string])[]): string =>
  `.Bl -tag -width Ds\n${rows.map(([tag, text]) => `.It ${tag}\n${prose(text)}`).join('')}.El\n`;

const references = (...pages: [string, number][]): string =>
  `.Sh SEE ALSO\n${pages.map(([name, section], at) => `.Xr ${name} ${section}${at < pages.length - 1 ? ' ,' : ''}\n`).join('')}`;

function daemonPage(): string {
  const sections = Object.entries(daemonCommands).map(
    ([name, { about }]) =>
      `.Ss fail2zig ${name}\n${prose(`${about[0]!.toUpperCase()}${about.slice(1)}.`)}${literal(usages[name] as string)}`,
  );
  return `${head('fail2zig', 8, 'bans hosts whose failures it finds in logs')}.Sh SYNOPSIS
.Nm
.Op Fl -config Ar FILE
.Nm
.Ar COMMAND
.Op Ar ...
.Sh DESCRIPTION
Without a command
.Nm
starts the daemon, in the foreground.
It follows the logs that its configuration names, counts failures of each
source, and writes bans into the kernel.
.Xr fail2zig-client 1
talks to the running daemon.
${tagged([
  ['Fl -config Ar FILE', 'The configuration (default: /etc/fail2zig.toml).'],
  ['Fl -version', 'Prints the version.'],
])}.Pp
SIGTERM and SIGINT stop the daemon.
The bans stay in the kernel, each with its own end, unless the configuration
says otherwise.
.Sh COMMANDS
${sections.join('')}.Sh FILES
${tagged([
  ['Pa /etc/fail2zig.toml', 'The configuration.'],
  ['Pa /etc/fail2zig.d/*.toml', 'What continues it, in the order of names.'],
  ['Pa /run/fail2zig/fail2zig.sock', 'The socket of fail2zig-client.'],
  ['Pa /var/lib/fail2zig/state', 'Bans, open windows and positions in logs.'],
  ['Pa /var/lib/fail2zig/state.history', 'The records of bans and commands.'],
])}.Sh EXIT STATUS
${tagged([
  ['0', 'Stopped when asked.'],
  ['2', 'Wrong usage.'],
  ['69', 'No backend works, or the table, the state file or the socket is taken.'],
  ['70', 'Anything else.'],
  ['78', 'The configuration cannot be used: systemd does not start it again.'],
])}${references(['fail2zig-client', 1], ['fail2zig.toml', 5], ['nft', 8])}`;
}

function clientPage(): string {
  const rows = commands.map(({ usage, says }) => [`Ic ${quoted(usage)}`, `${says}.`] as const);
  const options = globalOptions.map(
    ({ name, value, says }) =>
      [`Fl -${name}${value && ` Ar ${value}`}`, `${says[0]!.toUpperCase()}${says.slice(1)}.`] as const,
  );
  const codes = Object.entries(exitCodes).map(([name, code]) => {
    const meaning = exitMeanings[name as keyof typeof exitCodes];
    return [String(code), `${meaning[0]!.toUpperCase()}${meaning.slice(1)}.`] as const;
  });
  return `${head('fail2zig-client', 1, 'asks and commands the running fail2zig')}.Sh SYNOPSIS
.Nm
.Op Fl -socket Ar PATH
.Op Fl -json
.Ar COMMAND
.Op Ar ...
.Sh DESCRIPTION
.Nm
talks to the daemon of
.Xr fail2zig 8
over its control socket.
Root and the members of the socket's group may use it.
.Pp
DURATION is written 90, 10m, "1d 12h" or permanent.
ADDRESS is IPv4 or IPv6, with /PREFIX for a whole prefix.
A word - stands for the words of standard input.
.Sh COMMANDS
${tagged(rows)}.Sh OPTIONS
${tagged(options)}.Sh EXIT STATUS
${tagged(codes)}${references(['fail2zig.toml', 5], ['fail2zig', 8])}`;
}

const holds = ({ value, otherwise }: KeyRow): string =>
  `${value[0]!.toUpperCase()}${value.slice(1)}${otherwise === '' ? '' : `; by itself ${otherwise}`}.`;

function configurationPage(): string {
  const tables = reference.map(
    ({ header, says, keys }) =>
      `.Ss ${quoted(header).replace(/"$/, '\\&"')}\n${prose(says)}${tagged(keys.map((each) => [`Cm ${each.key}`, `${holds(each)} ${each.says}`] as const))}`,
  );
  return `${head('fail2zig.toml', 5, 'the configuration of fail2zig')}.Sh DESCRIPTION
The file is TOML.
Every key is optional.
A key that is not known, is written twice or has a wrong value is refused with
its line and column, and nothing is changed:
.Dq fail2zig check
says so beforehand.
.Pp
Durations are whole seconds, or "30s", "10m", "1h", "1d", "1w", "1d 12h".
Sizes are written "64MB", where MB is 1024 x 1024 bytes.
.Pp
Beside the file, those of
.Pa /etc/fail2zig.d
whose names end in
.Dq .toml
are read in the order of their names, each by itself: tables are joined, and
.Dq [[filter]]
is continued.
A key that two files set is refused with both places.
What holds for the file holds for each of them, and for the directory.
With
.Fl -config Ar NAME.toml
the directory is
.Pa NAME.d .
.Sh TABLES
${tables.join('')}.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/fail2zig.toml
Belongs to root; nobody else may write it.
.It Pa /etc/fail2zig.d/*.toml
Continue it.
The same holds for them and their directory.
.El
.Sh EXAMPLES
.Bd -literal -offset 2n
[defaults]
ignoreip = ["203.0.113.7"]

[jails.sshd]
logpath = "/var/log/auth.log"
port = "ssh"
bantime = "1h"
.Ed
${references(['fail2zig-client', 1], ['fail2zig', 8])}`;
}

function fleetPage(): string {
  return `${head('fail2zig-fleet', 8, 'shares bans with other hosts over a CrowdSec Local API')}.Sh SYNOPSIS
.Nm
.Op Fl -config Ar FILE
.Op Cm status
.Sh DESCRIPTION
${prose('A process beside the daemon, without privileges. It sends the bans of this host to a CrowdSec Local API and bans what the decisions there say, over the control socket of the daemon, as [fleet] of the configuration says. Without [fleet] it ends at once, and nothing is connected to.')}.Pp
${prose('Bans that the server has not yet taken wait on disk. While the server is gone, bans of others stay until their time is out.')}${literal(fleetUsage)}.Sh FILES
${tagged([
  ['Pa /etc/fail2zig.toml', 'The configuration.'],
  ['Pa /var/lib/fail2zig-fleet/spool', 'Bans that wait for the server.'],
  ['Pa /var/lib/fail2zig-fleet/position', 'How far records were read and sent.'],
])}.Sh EXIT STATUS
${tagged([
  ['0', 'Stopped when asked, or all is well.'],
  ['1', 'Something is wrong, as status says.'],
  ['2', 'Wrong usage.'],
  ['4', 'Nobody answers status.'],
  ['78', 'The configuration, or a file that it names, cannot be used.'],
])}${references(['fail2zig-client', 1], ['fail2zig.toml', 5], ['fail2zig', 8])}`;
}

/** docs/configuration.md. */
function configurationDocument(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('*', '\\*');
  const code = (text: string): string =>
    text === '' ? '' : /^["0-9]|^(true|false)$/.test(text) ? `\`${text}\`` : text;
  const tables = reference.map(({ header, says, keys }) => {
    const rows = keys.map(
      (each) => `| \`${each.key}\` | ${cell(each.value)} | ${cell(code(each.otherwise))} | ${cell(each.says)} |\n`,
    );
    return `\n## \`${header}\`\n\n${cell(says)}\n\n| key | value | default | |\n|---|---|---|---|\n${rows.join('')}`;
  });
  return `<!-- Made by npm run generate. Do not edit. -->
# The configuration

\`/etc/fail2zig.toml\` is TOML. Every key is optional. A key that is not known, is written twice or has a wrong value is
refused with its line and column, and nothing is changed: \`fail2zig check\` says so beforehand. Durations are whole
seconds, or \`"30s"\`, \`"10m"\`, \`"1h"\`, \`"1d"\`, \`"1w"\`, \`"1d 12h"\`. Sizes are written \`"64MB"\`, where MB is
1024 × 1024 bytes. [config/fail2zig.toml](../config/fail2zig.toml) is a file to start from, [docs/filters.md](filters.md) says
how patterns are written.

The files \`/etc/fail2zig.d/*.toml\` are read too, in the order of their names: a package, a role or a colleague can put a jail
or a few keys there. Tables are joined (\`[jails.sshd]\` may be in two files with different keys), and \`[[filter]]\` is
continued. A key that two files set is refused, and both places are named: change it where it is. Every file, and the
directory, must meet the same conditions as the main file: only its owner may write it. One mistake refuses all files; every
mistake is reported with file, line and column. Names that begin with a dot are skipped, and so, with a warning, are others that
do not end in \`.toml\`. For \`--config NAME.toml\` the directory is \`NAME.d\`.
${tables.join('')}`;
}

/** A cell of a table. */
const cell = (text: string): string => text.replaceAll('|', '\\|');
/** A log line as code, even if it contains backticks. */
const lineOf = (text: string): string => (text.includes('`') ? `\`\` ${cell(text)} \`\`` : `\`${cell(text)}\``);

/** Each built-in filter: its purpose, its modes, its entries in the journal, a line that counts. */
function filterDocument(): string {
  const sections = filters.map(({ name, about, modes = [], tags = [], patterns }) => {
    const { units = [], identifiers = [] } = journalOrigins.get(name) ?? {};
    const facts = [
      ['modes', modes],
      ['syslog identifiers', tags],
      ['units of the journal', units],
      ['identifiers of the journal', identifiers],
    ] as const;
    const rows = facts
      .filter(([, values]) => values.length > 0)
      .map(([title, values]) => `| ${title} | ${values.map(lineOf).join(', ')} |\n`);
    const counting = patterns.filter(({ effect }) => effect?.kind !== 'context');
    const sample = counting[0]?.sample ?? patterns[0]!.sample;
    return `\n## ${name}\n\n${about}. Patterns: ${patterns.length}.\n\n| | |\n|---|---|\n${rows.join('')}| a line that counts | ${lineOf(sample)} |\n`;
  });
  return `<!-- Made by npm run generate. Do not edit. -->
# The built-in filters

\`filter = "NAME"\` in a jail chooses one. \`fail2zig filters NAME\` shows its patterns, all its sample lines and its compiled
matcher; \`fail2zig match --filter NAME FILE\` says which lines of a log it matches.
${sections.join('')}`;
}

/** Path from the root of the repository → text. */
export function documents(): Map<string, string> {
  return new Map([
    ['man/fail2zig.8', daemonPage()],
    ['man/fail2zig-client.1', clientPage()],
    ['man/fail2zig-fleet.8', fleetPage()],
    ['man/fail2zig.toml.5', configurationPage()],
    ['docs/configuration.md', configurationDocument()],
    ['docs/client-output.schema.json', outputSchema()],
    ['docs/filter-reference.md', filterDocument()],
    ['docs/bounds.md', boundsDocument()],
    [
      'docs/white-paper.md',
      withFigures(withPeersTable(readFileSync(join(import.meta.dirname, '../docs/white-paper.md'), 'utf8'))),
    ],
    ['docs/peers.svg', peersPicture(newestPeersRun())],
    ['README.md', withScores(readFileSync(join(import.meta.dirname, '../README.md'), 'utf8'))],
  ]);
}
