/**
 * A separate program: becomes another user and floods a socket with connections, each replaced when
 * it is closed, until it is killed. Prints `flooding` once a thousand of them were closed.
 * Arguments: PATH UID GID CONNECTIONS. Started as root.
 */
import { createConnection } from 'node:net';

const [path, uid, gid, connections] = process.argv.slice(2) as [string, string, string, string];
process.setgroups?.([]);
process.setgid?.(Number(gid));
process.setuid?.(Number(uid));

let closed = 0;

function flood(): void {
  const socket = createConnection({ path });
  socket.on('error', () => {});
  socket.resume();
  socket.once('close', () => {
    closed += 1;
    if (closed === 1_000) process.stdout.write('flooding\n');
    setImmediate(flood);
  });
}

for (let count = 0; count < Number(connections); count++) flood();
