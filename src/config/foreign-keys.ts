/**
 * Keys of fail2ban that people write into our file, and what to use here.
 */

const whole = "this is a file of fail2ban's: fail2zig import translates all of /etc/fail2ban";

/** Sections of jail.local and fail2ban.local. */
const sections: Readonly<Record<string, string>> = { DEFAULT: whole, INCLUDES: whole, Definition: whole, Init: whole };

const ofFilter: Readonly<Record<string, string>> = {
  failregex: 'write patterns = ["… {ip} …"]: patterns are not regular expressions',
  ignoreregex: 'write ignore = ["…"]: patterns are not regular expressions',
  prefregex: 'write log_tag = "identifier"; write what all patterns begin with into each',
  datepattern: 'every known time format is recognised without it; write {timestamp} for one inside the message',
  journalmatch: 'write log_tag = "identifier" here, or journal_match in the jail',
};

const inFilter = "that is a filter's matter: a [[filter]] of your own, or one of fail2zig filters";

const ofJail: Readonly<Record<string, string>> = {
  backend: 'files are followed without a choice; for the journal write source = "journal"',
  banaction: 'firewall.backend says how bans get into the kernel, and "auto" finds out',
  banaction_allports: 'leave it out, and port too: then all ports are meant',
  usedns: 'names are never resolved, as with usedns = "no": leave it out',
  ignorecommand: 'no program is started: write the addresses into ignoreip',
  ignorecache: 'nothing needs a cache: leave it out',
  journalmatch: 'write journal_match, with source = "journal"',
  logencoding: 'bytes are read as they are: leave it out',
  maxmatches: 'no lines are kept: leave it out',
  chain: 'write hooks = "input", "forward", or both in a list',
  destemail: 'fail2zig-client watch gives events to a program that sends mail',
  failregex: inFilter,
  ignoreregex: inFilter,
  datepattern: inFilter,
};

/** What to write instead of fail2ban's `key` in the table at `path`; undefined for other keys. */
export function foreignHint(path: readonly PropertyKey[], key: string): string | undefined {
  const [section] = path;
  const table =
    path.length === 0
      ? sections
      : section === 'filter'
        ? ofFilter
        : section === 'jails' || section === 'defaults'
          ? ofJail
          : {};
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
