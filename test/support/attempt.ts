/**
 * Makes an attempt from inside the core of the real daemon, whose bundle starts with a hook, and
 * tells how it ends.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { temporaryDirectory } from './control.ts';
import { hookedProgram } from './raw-calls.ts';
import { until } from './until.ts';

/** How one attempt ended in a daemon with these lines of configuration. */
export type Attempt = (name: string) => Promise<string>;

export function attemptWith(confinement: string): Attempt {
  return async (name) => {
    const [directory, logs] = [temporaryDirectory(), temporaryDirectory()];
    const settings = `${confinement}[firewall]\nbackend = "log-only"\n[metrics]\nenabled = false\n[jails.sshd]\nlogpath = "${logs.path}/auth.log"\n`;
    writeFileSync(join(logs.path, 'auth.log'), 'line\n');
    const daemon = await Daemon.start(directory.path, settings, [
      process.execPath,
      hookedProgram(name, directory.path, logs.path),
    ]);
    try {
      const answer = (): string | undefined => daemon.said.find((line) => line.startsWith('hook: '));
      process.kill(daemon.pid, 'SIGUSR2');
      const isOver = (): boolean => !daemon.running || answer() !== undefined;
      await until(isOver, { what: `the end of "${name}"` });
      const said = answer();
      if (said !== undefined) return said.replace('hook: ', '');
      await daemon.closed;
      const code = await daemon.stop();
      if (code === 70 && daemon.said.some((line) => /: system call \d+ at 0x[0-9a-f]+ is not in/.test(line)))
        return 'ended';
      return daemon.said.includes('ended by SIGSYS') ? 'killed' : `status ${code}: ${daemon.said.at(-1)}`;
    } finally {
      await daemon.kill();
      directory.remove();
      logs.remove();
    }
  };
}
