/**
 * `fail2zig remove [--table NAME]`: removes our rules, sets and bans from the kernel, after a
 * daemon that has ended for good (a package's removal). Does not touch files. Exit status: 0
 * nothing of ours is left, 1 something could not be removed, 2 wrong usage, 69 (EX_UNAVAILABLE) a
 * daemon runs.
 */
import { readFileSync } from 'node:fs';
import { backendRows } from '../backends/choose.ts';
import { InUseError, tableLockPath, takeLock } from '../sole.ts';
import { printable } from '../text/printable.ts';
import { readCommand } from './options.ts';

export const usage = `fail2zig remove: remove our rules and bans from the kernel; the daemon must have ended

  --table NAME   the nftables table (fail2zig)

Configuration, state and history stay as they are.
`;

/** Errors of a kernel without such an interface: nothing of ours can be there. */
const absent = ['ENOENT', 'EPROTONOSUPPORT', 'EOPNOTSUPP', 'ENOPROTOOPT'];

/** By its code: each backend is a bundle with a KernelError of its own. */
export function isAbsent(error: unknown): boolean {
  return absent.includes(String((error as { code?: unknown } | undefined)?.code));
}

/**
 * Interfaces of this network namespace: after two header lines, each line begins with a name and a
 * colon.
 */
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
  // A dry run leaves nothing in the kernel.
  for (const { name, load } of backendRows.filter((row) => row.name !== 'log-only')) {
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
