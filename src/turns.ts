/**
 * Tasks one after the other, in the order in which they were asked for. One that fails holds up
 * none.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `task` after every task that was asked for before. */
  take<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(task);
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  /** Resolves when every task that was asked for until now is over. */
  async over(): Promise<void> {
    await this.#last;
  }
}
