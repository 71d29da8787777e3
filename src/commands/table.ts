/**
 * The subcommands of `fail2zig` and its help. Each is loaded only when it is asked for. Help and
 * manual page are made of these rows.
 */

/** A subcommand's module: `argv` is what stands after its name. */
interface Command {
  run(argv: string[]): Promise<number>;
}

interface Row {
  about: string;
  load(): Promise<Command>;
}

export const commands: Record<string, Row> = {
  check: { about: 'say whether the configuration can be used, or why not', load: () => import('./check.ts') },
  match: { about: 'show which lines of a log a filter matches', load: () => import('./match.ts') },
  replay: { about: 'run finished logs through the whole pipeline', load: () => import('./replay.ts') },
  import: { about: 'translate a fail2ban configuration', load: () => import('./import.ts') },
  remove: { about: 'take our rules and bans out of the kernel', load: () => import('./remove.ts') },
  compare: { about: 'our decisions over a log beside those of fail2ban', load: () => import('./compare.ts') },
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
  fail2zig ${'version'.padEnd(20)}the version, and those of what is inside

\`fail2zig COMMAND --help\` shows what a command takes. Talk to a running daemon with fail2zig-client.
`;
