/** Tasks one after the other. */
import { expect, test } from 'vitest';
import { Turns } from '../../src/turns.ts';

/** Turns with a first task that runs until `go`, and what ran after it. */
async function held() {
  const turns = new Turns();
  const ran: string[] = [];
  const { promise, resolve: go } = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  void turns.take(() => {
    begun.resolve();
    return promise;
  });
  await begun.promise;
  const take = (name: string, isAhead?: boolean): Promise<string> =>
    turns.take(async () => {
      ran.push(name);
      return name;
    }, isAhead);
  return { turns, ran, go, take };
}

test('tasks run in the order of their calls, one at a time, and none before its caller goes on', async () => {
  const turns = new Turns();
  let running = 0;
  const ran: number[] = [];
  const tasks = [3, 1, 2].map((number) =>
    turns.take(async () => {
      expect(++running).toBe(1);
      for (let pause = 0; pause < number; pause++) await Promise.resolve();
      ran.push(number);
      running--;
      return number * 10;
    }),
  );
  expect(running).toBe(0);
  expect(await Promise.all(tasks)).toEqual([30, 10, 20]);
  expect(ran).toEqual([3, 1, 2]);
});

test('a task that goes ahead waits for none that has not begun', async () => {
  const { turns, ran, go, take } = await held();
  const all = [take('a'), take('b'), take('ahead', true)];
  go();
  expect(await Promise.all(all)).toEqual(['a', 'b', 'ahead']);
  expect(ran).toEqual(['ahead', 'a', 'b']);
  await turns.over();
});

test('tasks that go ahead, however many, leave every second turn to the others', async () => {
  const { turns, ran, go, take } = await held();
  const others = ['a', 'b', 'c'].map((name) => take(name));
  // Each comes as soon as the one before is over.
  const stream = (async () => {
    for (let count = 0; count < 5; count++) await take(`ahead ${count}`, true);
  })();
  go();
  await Promise.all([...others, stream]);
  expect(ran).toEqual(['ahead 0', 'a', 'ahead 1', 'b', 'ahead 2', 'c', 'ahead 3', 'ahead 4']);
  await turns.over();
});

test('a task that fails, even before its first wait, stops no other', async () => {
  const turns = new Turns();
  const failing = turns.take(() => {
    throw new Error('at once');
  });
  const rejecting = turns.take(() => Promise.reject(new Error('later')));
  const next = turns.take(async () => 'next');
  await expect(failing).rejects.toThrow('at once');
  await expect(rejecting).rejects.toThrow('later');
  expect(await next).toBe('next');
});

test('is over when every task until now is, whatever comes after', async () => {
  const { turns, ran, go, take } = await held();
  void take('before');
  const over = turns.over().then(() => [...ran]);
  void take('after');
  go();
  expect(await over).toEqual(['before']);
});
