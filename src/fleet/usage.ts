/**
 * The output of `fail2zig-fleet --help`; its manual page repeats it.
 */
export const usage = `Usage: fail2zig-fleet [--config FILE] [status]

Shares bans with other hosts over a CrowdSec Local API, as [fleet] of the
configuration says. Runs until it is stopped.

  status          The figures of the running process, and what is wrong.
  --config FILE   The configuration; otherwise /etc/fail2zig.toml.
  --help, --version

Exit status: 0 done; 1 status found something wrong; 2 wrong usage; 4 nobody
answers; 78 the configuration, or a file that it names, cannot be used.
`;
