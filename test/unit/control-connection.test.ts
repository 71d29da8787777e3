/**
 * One connection of the control socket over a pair of streams, with a clock of the test: what is
 * answered, when it is cut off, and that nothing of it stays.
 */
import type { Socket } from 'node:net';
import { Duplex, duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseResponse } from '../../src/client/response.ts';
import { Connection, type ConnectionOptions, turnAway } from '../../src/control/connection.ts';
import { encodeFrame, FrameDecoder, type Response } from '../../src/control/protocol.ts';

const deadlines = { idleMs: 1_000, answerMs: 5_000, writeMs: 300 };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Everything that can happen without the clock happens. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await turn();
}

async function pass(milliseconds: number): Promise<void> {
  vi.advanceTimersByTime(milliseconds);
  await settle();
}

/** What the peer hears. */
function listen(peer: Duplex): Response[] {
  const heard: Response[] = [];
  const decoder = new FrameDecoder();
  peer.on('data', (chunk: Buffer) => {
    decoder.push(chunk);
    for (let body = decoder.next(); body; body = decoder.next()) heard.push(parseResponse(body));
  });
  peer.on('error', () => {});
  return heard;
}

type Answer = ConnectionOptions['answer'];

/** A connection whose requests `answer` answers, and its peer. */
function connect(answer: Answer, ours?: Duplex) {
  const [socket, peer] = duplexPair();
  const heard = listen(peer);
  const counted = { badFrames: 0, asked: [] as unknown[], errors: [] as unknown[] };
  const served = (ours ?? socket) as Socket;
  new Connection(served, {
    deadlines,
    answer: (request) => {
      counted.asked.push(request.verb);
      return answer(request);
    },
    onBadFrame: () => {
      counted.badFrames++;
    },
    onInternal: (error) => counted.errors.push(error),
  });
  return { socket: served, peer, heard, counted };
}

const ask = (verb: string): Buffer => encodeFrame({ verb, args: {} });
const echo: Answer = ({ verb }) => ({ verb });
const answered = (verb: string): Response => ({ ok: true, data: { verb } });

/** Answers that the test gives when it likes. */
function slowly() {
  const waiting: ((data: object) => void)[] = [];
  const answer: Answer = () => new Promise<object>((resolve) => waiting.push(resolve));
  return { answer, waiting };
}

const codes = (heard: Response[]): string[] => heard.map((each) => (each.ok ? 'ok' : each.error.code));

describe('a peer that ends its side', () => {
  test('while its request is worked on hears the answer, however long it takes', async () => {
    const { answer, waiting } = slowly();
    const { socket, peer, heard, counted } = connect(answer);
    peer.end(ask('status'));
    await settle();
    expect(socket.readableEnded).toBe(true);
    waiting[0]!({ verb: 'status' });
    await settle();
    expect(heard).toEqual([answered('status')]);
    expect(counted).toMatchObject({ badFrames: 0, errors: [] });
    expect(socket.destroyed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('behind several requests hears every answer, and has violated nothing', async () => {
    const { answer, waiting } = slowly();
    const { peer, heard, counted } = connect(answer);
    peer.end(Buffer.concat([ask('status'), ask('stats')]));
    await settle();
    waiting[0]!({ verb: 'status' });
    await settle();
    waiting[1]!({ verb: 'stats' });
    await settle();
    expect(heard).toEqual([answered('status'), answered('stats')]);
    expect(counted.badFrames).toBe(0);
  });

  test('in the middle of a frame has violated the protocol, once, also behind a request', async () => {
    for (const before of [Buffer.alloc(0), ask('status')]) {
      const { socket, peer, counted } = connect(echo);
      peer.end(Buffer.concat([before, ask('stats').subarray(0, 9)]));
      await settle();
      expect(counted.badFrames).toBe(1);
      expect(socket.destroyed).toBe(true);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  test('after the last answer is let go', async () => {
    const { socket, peer, heard } = connect(echo);
    peer.write(ask('status'));
    await settle();
    expect(socket.destroyed).toBe(false);
    peer.end();
    await settle();
    expect(heard).toEqual([answered('status')]);
    expect(socket.destroyed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('while a request is worked on', () => {
  test('nothing more is read, and what came meanwhile is answered afterwards, in order', async () => {
    const { answer, waiting } = slowly();
    const { socket, peer, heard, counted } = connect(answer);
    peer.write(ask('status'));
    await settle();
    expect(socket.isPaused()).toBe(true);
    for (const verb of ['stats', 'version']) {
      peer.write(ask(verb));
      await settle();
    }
    expect(counted.asked).toEqual(['status']);
    for (const [at, verb] of ['status', 'stats', 'version'].entries()) {
      waiting[at]!({ verb });
      await settle();
      expect(heard.at(-1)).toEqual(answered(verb));
    }
    expect(socket.isPaused()).toBe(false);
    expect(counted).toMatchObject({ asked: ['status', 'stats', 'version'], badFrames: 0 });
  });

  test('the next part of an answer is made when the one before is read, and none for a peer that is gone', async () => {
    let made = 0;
    let isOver = false;
    let read: (error?: Error) => void = () => {};
    const unread = new Duplex({
      read: () => {},
      write: (_chunk, _encoding, done) => {
        read = done;
      },
      destroy: (error, done) => {
        read(new Error('ECANCELED'));
        done(error);
      },
    });
    const { counted } = connect(async function* () {
      try {
        for (;;) yield { made: ++made };
      } finally {
        isOver = true;
      }
    }, unread);
    unread.push(ask('list'));
    for (const parts of [1, 2, 3]) {
      await settle();
      expect([made, isOver]).toEqual([parts, false]);
      if (parts < 3) read();
    }
    unread.destroy();
    await settle();
    expect([made, isOver]).toEqual([3, true]);
    expect(counted.errors).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('none is made either for a peer whose end shows only when something is written to it', async () => {
    let made = 0;
    const reset = new Duplex({
      read: () => {},
      write: (_chunk, _encoding, done) => done(new Error('EPIPE')),
    });
    const { counted } = connect(async function* () {
      for (;;) yield { made: ++made };
    }, reset);
    reset.push(ask('list'));
    await settle();
    expect(made).toBe(1);
    expect(reset.destroyed).toBe(true);
    expect(counted.errors).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('an answer for a peer that has gone is dropped', async () => {
    const { answer, waiting } = slowly();
    const { socket, peer, counted } = connect(answer);
    peer.write(ask('status'));
    await settle();
    socket.destroy();
    await settle();
    waiting[0]!({ verb: 'status' });
    await settle();
    expect(counted.errors).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('an answer that is no JSON is an error of ours, not one that is too long', async () => {
    const { peer, heard, counted } = connect(() => ({ bans: 7n }));
    peer.write(ask('stats'));
    await settle();
    expect(codes(heard)).toEqual(['internal']);
    expect(counted.errors).toHaveLength(1);
  });
});

describe('deadlines', () => {
  test('a peer that says nothing is let go, and one that has been answered waits as long anew', async () => {
    const { socket, peer, heard } = connect(echo);
    await pass(deadlines.idleMs - 1);
    peer.write(ask('status'));
    await settle();
    await pass(deadlines.idleMs - 1);
    expect(heard).toEqual([answered('status')]);
    expect(socket.destroyed).toBe(false);
    await pass(1);
    expect(socket.destroyed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a request that is not whole by then is no longer waited for, however often bytes come', async () => {
    const { socket, peer } = connect(echo);
    const frame = ask('status');
    for (let at = 0; at < 10; at++) {
      expect(socket.destroyed).toBe(false);
      peer.write(frame.subarray(at, at + 1));
      await pass(deadlines.idleMs / 10);
    }
    expect(socket.destroyed).toBe(true);
  });

  test('an answer may take longer than a silence; each part of a long one has its time', async () => {
    const parts: (() => void)[] = [];
    const { peer, heard } = connect(async function* () {
      for (let at = 0; at < 3; at++) {
        await new Promise<void>((resolve) => parts.push(resolve));
        yield { at };
      }
    });
    peer.write(ask('list'));
    for (let at = 0; at < 3; at++) {
      await settle();
      await pass(deadlines.answerMs - 1);
      parts[at]!();
      await settle();
    }
    expect(codes(heard)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });

  test('of an answer that is late only that is said, and nothing of the peer is worked on after it', async () => {
    const { answer, waiting } = slowly();
    const { socket, peer, heard, counted } = connect(answer);
    peer.write(Buffer.concat([ask('status'), ask('stats')]));
    await settle();
    await pass(deadlines.answerMs);
    expect(codes(heard)).toEqual(['timeout']);
    waiting[0]!({ verb: 'status' });
    peer.write(ask('version'));
    await settle();
    expect(counted).toMatchObject({ asked: ['status'], errors: [], badFrames: 0 });
    expect(codes(heard)).toEqual(['timeout']);
    // It still has its time to read that.
    expect(socket.destroyed).toBe(false);
    await pass(deadlines.writeMs);
    expect(socket.destroyed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('who violates the protocol just before he would be let go still has his time to read why', async () => {
    const { socket, peer, heard, counted } = connect(echo);
    await pass(deadlines.idleMs - 1);
    peer.write(Buffer.alloc(4));
    await pass(deadlines.writeMs - 1);
    peer.write(ask('status'));
    await settle();
    expect(codes(heard)).toEqual(['bad-frame']);
    expect(socket.destroyed).toBe(false);
    peer.end();
    await settle();
    expect(counted).toMatchObject({ badFrames: 1, asked: [] });
  });

  test('who then says nothing more is cut off', async () => {
    const { socket, peer } = connect(echo);
    peer.write(Buffer.alloc(4));
    await settle();
    await pass(deadlines.writeMs - 1);
    expect(socket.destroyed).toBe(false);
    await pass(1);
    expect(socket.destroyed).toBe(true);
  });

  test('a peer that does not read is cut off', async () => {
    const { socket, peer } = connect(() => ({ much: 'x'.repeat(60_000) }));
    peer.removeAllListeners('data').pause();
    for (let count = 0; count < 4; count++) peer.write(ask('stats'));
    await settle();
    await pass(deadlines.writeMs - 1);
    expect(socket.destroyed).toBe(false);
    await pass(1);
    expect(socket.destroyed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a peer that is turned away', () => {
  function dismissed() {
    const [socket, peer] = duplexPair();
    const heard = listen(peer);
    turnAway(socket as Socket, 'busy', 'too many', deadlines.writeMs);
    return { socket, peer, heard };
  }

  test('hears why, and may still end what it was saying', async () => {
    const { socket, peer, heard } = dismissed();
    peer.write(Buffer.alloc(100_000));
    await settle();
    expect(heard).toEqual([{ ok: false, error: { code: 'busy', message: 'too many' } }]);
    expect([socket.destroyed, peer.writableLength]).toEqual([false, 0]);
    peer.end();
    await settle();
    expect(socket.destroyed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that does not go is cut off', async () => {
    const { socket } = dismissed();
    await pass(deadlines.writeMs - 1);
    expect(socket.destroyed).toBe(false);
    await pass(1);
    expect(socket.destroyed).toBe(true);
  });
});

test('a connection that fails is over: it ends nothing else', async () => {
  const [socket] = duplexPair();
  for (const served of [socket, connect(echo).socket]) {
    if (served === socket) turnAway(served as Socket, 'busy', '', 300);
    served.destroy(new Error('ECONNRESET'));
    await settle();
    expect(served.destroyed).toBe(true);
  }
  expect(vi.getTimerCount()).toBe(0);
});
