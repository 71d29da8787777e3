/**
 * Runs tasks one after the other, in the order of their calls; one that may go ahead of the others
 * does not wait for those that have not begun. A failed task does not stop the next ones.
 */
export class Turns {
  readonly #waiting: (() => Promise<void>)[] = [];
  #isRunning = false;
  /** Whether the task that runs, or the last one, went ahead: then one of the others is next. */
  #wentAhead = false;

  /** Runs `task` after every earlier task, or ahead of all but the next. */
  take<T>(task: () => Promise<T>, isAhead = false): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const run = (): Promise<void> => {
      this.#wentAhead = isAhead;
      return (async () => task())().then(resolve, reject);
    };
    this.#waiting.splice(isAhead ? Number(this.#wentAhead) : this.#waiting.length, 0, run);
    if (!this.#isRunning) void this.#run();
    return promise;
  }

  /** Resolves when every task until now is over. */
  over(): Promise<void> {
    return this.take(() => Promise.resolve());
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // No task runs before the caller goes on.
    await undefined;
    for (let run = this.#waiting.shift(); run !== undefined; run = this.#waiting.shift()) await run();
    this.#isRunning = false;
  }
}
