/**
 * A separate program: becomes another user, sends one `list` request to a socket and prints the
 * result as JSON. Arguments: PATH UID GID GROUPS (comma separated, may be empty). It is started as
 * root and gives up that right before it connects.
 */
import { call, UnreachableError } from '../../src/client/call.ts';

const [path, uid, gid, groups] = process.argv.slice(2) as [string, string, string, string];
process.setgroups?.(groups === '' ? [] : groups.split(',').map(Number));
process.setgid?.(Number(gid));
process.setuid?.(Number(uid));

try {
  const response = await call(path, { verb: 'list', args: {} });
  process.stdout.write(JSON.stringify(response));
} catch (error) {
  if (!(error instanceof UnreachableError)) throw error;
  process.stdout.write(JSON.stringify({ unreachable: error.message }));
}
