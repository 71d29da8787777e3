/**
 * Runs tasks one after the other, in the order of their calls. A failed task does not stop the next
 * ones.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `task` after every earlier task. */
  take<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(task);
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  /** Resolves when every task until now is over. */
  async over(): Promise<void> {
    await this.#last;
  }
}
