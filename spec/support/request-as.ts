/**
 * A separate program: becomes another user, makes one control request and prints the result as
 * JSON. Arguments: PATH UID GID VERB ARGUMENTS (JSON) GROUPS (by commas). Started as root, a right
 * that it gives up first.
 */
import { call, UnreachableError } from '../../src/client/call.ts';

const [path, uid, gid, verb, args, groups] = process.argv.slice(2) as [string, string, string, string, string, string];
process.setgroups?.(groups === '' ? [] : groups.split(',').map(Number));
process.setgid?.(Number(gid));
process.setuid?.(Number(uid));

try {
  process.stdout.write(JSON.stringify(await call(path, { verb, args: JSON.parse(args) })));
} catch (error) {
  if (!(error instanceof UnreachableError)) throw error;
  process.stdout.write(JSON.stringify({ unreachable: error.message }));
}
