/**
 * What we tell the service manager (sd_notify(3)): that the start is over, that the event loop
 * still runs, and a status line. The launch stage connected the socket, so the core needs no access
 * to its path. Without a service manager nothing is sent; a full socket is ignored.
 */
import { serviceStatusMs } from './limits.ts';
import { native } from './native.ts';
import { printable } from './text/printable.ts';

/** Names the descriptor of the connected socket; the launch stage sets it. */
export const notifyVariable = 'FAIL2ZIG_NOTIFY_FD';

export class ServiceManager {
  readonly #fd: number;
  readonly #pauseMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(variables: NodeJS.ProcessEnv = process.env) {
    const { WATCHDOG_USEC = '', WATCHDOG_PID = String(process.pid) } = variables;
    this.#fd = Number(variables[notifyVariable] ?? -1);
    // Three signs of life within the watchdog time.
    const signMs = WATCHDOG_PID === String(process.pid) ? Math.floor(Number(WATCHDOG_USEC) / 3_000) : 0;
    this.#pauseMs = signMs > 0 ? Math.min(signMs, serviceStatusMs) : serviceStatusMs;
  }

  /** The start is over. `status` gives the status line, at intervals. */
  ready(status: () => string): void {
    const say = (sign: string): void => {
      this.#tell(`${sign}\nSTATUS=${printable(status())}`);
    };
    say('READY=1');
    this.#timer = setInterval(say, this.#pauseMs, 'WATCHDOG=1');
  }

  stopping(): void {
    clearInterval(this.#timer);
    this.#tell('STOPPING=1\nSTATUS=stopping');
  }

  #tell(text: string): void {
    if (this.#fd >= 0) native.writeNow(this.#fd, Buffer.from(text));
  }
}
