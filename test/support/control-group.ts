/** A control group with a memory limit: v2 or v1, whichever this machine has. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class ControlGroup {
  readonly #path: string;
  readonly #isFirst: boolean;
  /** The group of this process before. */
  readonly #home: string;

  private constructor(path: string, isFirst: boolean, home: string) {
    this.#path = path;
    this.#isFirst = isFirst;
    this.#home = home;
  }

  /** A new group under the limit, or the reason why there is none. */
  static make(name: string, limitBytes: number): ControlGroup | string {
    const lines = readFileSync('/proc/self/cgroup', 'utf8').split('\n');
    const first = lines.find((line) => line.split(':')[1] === 'memory');
    const second = lines.find((line) => line.startsWith('0::'));
    const isFirst = first !== undefined;
    const root = isFirst ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup';
    if (!isFirst && !existsSync(join(root, 'memory.stat')) && !existsSync(join(root, 'cgroup.controllers')))
      return 'no memory controller';
    const home = join(root, (first ?? second ?? '').split(':')[2] ?? '');
    const path = join(root, name);
    try {
      mkdirSync(path);
      if (!isFirst) writeFileSync(join(root, 'cgroup.subtree_control'), '+memory');
      writeFileSync(join(path, isFirst ? 'memory.limit_in_bytes' : 'memory.max'), String(limitBytes));
    } catch (error) {
      return `no group can be made: ${(error as Error).message}`;
    }
    return new ControlGroup(path, isFirst, home);
  }

  /** The processes that `start` starts are in the group; this process is not. */
  async inside<T>(start: () => Promise<T>): Promise<T> {
    writeFileSync(join(this.#path, 'cgroup.procs'), String(process.pid));
    try {
      return await start();
    } finally {
      writeFileSync(join(this.#home, 'cgroup.procs'), String(process.pid));
    }
  }

  /** The most memory that the group used, the kernel's part included, bytes. */
  get peakBytes(): number {
    return Number(this.#read(this.#isFirst ? 'memory.max_usage_in_bytes' : 'memory.peak'));
  }

  /** Processes of the group that the kernel killed because the limit was reached. */
  get kills(): number {
    const text = this.#read(this.#isFirst ? 'memory.oom_control' : 'memory.events');
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
  }

  remove(): void {
    rmdirSync(this.#path);
  }

  #read(name: string): string {
    return readFileSync(join(this.#path, name), 'utf8');
  }
}
