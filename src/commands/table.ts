/**
 * The subcommands of `fail2zig` and its help. Each is loaded only when it is used. Help and manual
 * page are generated from these rows.
 */

/** A subcommand's module; `argv` are the arguments after its name. */
interface Command {
  run(argv: string[]): Promise<number>;
}

interface Row {
  about: string;
  load(): Promise<Command>;
}

export const commands: Record<string, Row> = {
  check: { about: 'say whether the configuration is usable, or what is wrong', load: () => import('./check.ts') },
  match: { about: 'show which lines of a log a filter matches', load: () => import('./match.ts') },
  replay: { about: 'run finished logs through the whole pipeline', load: () => import('./replay.ts') },
  import: { about: 'translate a fail2ban configuration', load: () => import('./import.ts') },
  remove: { about: 'remove our rules and bans from the kernel', load: () => import('./remove.ts') },
  compare: { about: 'compare our decisions about a log with those of fail2ban', load: () => import('./compare.ts') },
  audit: { about: 'verify, show or export the log of bans and commands', load: () => import('./audit.ts') },
  filters: { about: 'list the built-in filters, or show one', load: () => import('./filters.ts') },
};

export const usage = `fail2zig: bans hosts whose failures it finds in logs

  fail2zig [--config FILE]     start the daemon (configuration: /etc/fail2zig.toml)
${Object.entries(commands)
  .map(([name, { about }]) => `  fail2zig ${name.padEnd(20)}${about}`)
  .join('\n')}
  fail2zig ${'--import-config DIR'.padEnd(20)}the same as import DIR
  fail2zig ${'help'.padEnd(20)}this text
  fail2zig ${'version'.padEnd(20)}the version, and those of the runtime

\`fail2zig COMMAND --help\` shows the options of a command. Talk to a running daemon with fail2zig-client.
`;
