/**
 * A service manager that remembers its messages: Node has no datagram sockets with a path.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const listener = `
import json, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
path = sys.argv[1]
receiver.bind("\\0" + path[1:] if path[0] == "@" else path)
print("{}", flush=True)
while True:
    text, credentials, _, _ = receiver.recvmsg(65536, 256)
    print(json.dumps({"text": text.decode(), "pid": int.from_bytes(credentials[0][2][:4], "little")}), flush=True)
`;

/** The text of one datagram, and the process that sent it, according to the kernel. */
export interface Told {
  text: string;
  pid: number;
}

export class FakeServiceManager {
  readonly told: Told[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Listens at `path`, which is an abstract name if it begins with "@". */
  static async start(path: string): Promise<FakeServiceManager> {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'python3', '-c', listener, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const manager = new FakeServiceManager(child);
    const lines = createInterface({ input: child.stdout! });
    const ready = once(lines, 'line');
    await ready;
    lines.on('line', (line) => manager.told.push(JSON.parse(line) as Told));
    return manager;
  }

  /** From now on it reads nothing. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
