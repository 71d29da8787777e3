/**
 * `fail2zig remove [--table NAME]`: takes our rules, sets and bans out of the kernel, for a daemon
 * that has ended and will not come back (a package's removal). Leaves files alone. Exit status: 0
 * nothing of ours is there any more, 1 something could not be removed, 2 misused, 69
 * (EX_UNAVAILABLE) a daemon runs.
 */
import { readFileSync } from 'node:fs';
import { backendRows } from '../backends/choose.ts';
import { InUseError, tableLockPath, takeLock } from '../sole.ts';
import { printable } from '../text/printable.ts';
import { readCommand } from './options.ts';

export const usage = `fail2zig remove: take our rules and bans out of the kernel; the daemon must have ended

  --table NAME   the nftables table (fail2zig)

Configuration, state and history stay as they are.
`;

/** What a kernel says that has no such interface: nothing of ours can be there. */
const absent = ['ENOENT', 'EPROTONOSUPPORT', 'EOPNOTSUPP', 'ENOPROTOOPT'];

/** By its code: each backend is a bundle with a KernelError of its own. */
export function isAbsent(error: unknown): boolean {
  return absent.includes(String((error as { code?: unknown } | undefined)?.code));
}

/** What leaves something in the kernel behind that outlives the process. */
const lasting = ['nftables', 'iptables', 'ipset', 'xdp'];

/** Interfaces of this network namespace: below two lines of heads, their names before a colon. */
function interfaceNames(): string[] {
  const rows = readFileSync('/proc/net/dev', 'latin1').trimEnd().split('\n').slice(2);
  return rows.map((row) => row.slice(0, row.lastIndexOf(':')).trim());
}

export async function run(argv: string[]): Promise<number> {
  const options = { table: { type: 'string' } } as const;
  const parsed = readCommand(usage, argv, options);
  if (typeof parsed === 'number') return parsed;
  const { table = 'fail2zig' } = parsed.values;
  try {
    takeLock(tableLockPath(table), `firewall table ${table}`, 'table of its own');
  } catch (error) {
    process.stderr.write(`fail2zig remove: ${printable((error as Error).message)}\n`);
    return error instanceof InUseError ? 69 : 1;
  }
  return removeAll(table);
}

async function removeAll(table: string): Promise<number> {
  let failed = 0;
  for (const { name, load } of backendRows.filter((row) => lasting.includes(row.name))) {
    try {
      const backend = await load({ backend: name, table, allowLogOnly: false, interfaces: interfaceNames() }, () => {});
      await backend.remove();
      backend.close();
    } catch (error) {
      if (isAbsent(error)) continue;
      process.stderr.write(`fail2zig remove: ${name}: ${printable((error as Error).message)}\n`);
      failed = 1;
    }
  }
  return failed;
}
