/** How fail2zig-fleet speaks with the daemon beside it. */
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import type { RefusalCode } from '../../src/control/answers.ts';
import { encodeFrame, FrameDecoder, type Response } from '../../src/control/protocol.ts';
import { LocalDaemon, RefusedError } from '../../src/fleet/local.ts';
import { temporaryDirectory } from '../support/control.ts';

const home = temporaryDirectory();
const path = join(home.path, 'control.sock');
afterAll(() => home.remove());
let server: Server | undefined;
afterEach(async () => {
  await new Promise((resolve) => server?.close(resolve));
});

const refusal = (code: RefusalCode): Response => ({ ok: false, error: { code, message: 'not now' } });

/** A daemon that gives these answers in turn, one a connection; what it was asked. */
async function answering(...answers: Response[][]): Promise<unknown[]> {
  const asked: unknown[] = [];
  server = createServer((socket) => {
    const decoder = new FrameDecoder();
    socket.on('data', (chunk) => {
      decoder.push(chunk);
      const body = decoder.next();
      if (body === undefined) return;
      asked.push(JSON.parse(body.toString()));
      for (const answer of answers[Math.min(asked.length, answers.length) - 1]!) socket.write(encodeFrame(answer));
      socket.end();
    });
  });
  await new Promise<void>((resolve) => server!.listen(path, resolve));
  return asked;
}

const banned: Response = { ok: true, data: { banned: 1, refused: [] } };
const request = {
  verb: 'ban',
  args: { jail: 'fleet', addresses: ['192.0.2.1'], seconds: 60, reason: 'fleet' },
};

test.each(['busy', 'rate-limited'] as const)('a daemon that is %s is asked again, for the same', async (code) => {
  const asked = await answering([refusal(code)], [refusal(code)], [banned]);
  const daemon = new LocalDaemon(path);
  await daemon.ban('fleet', ['192.0.2.1'], 60, 'fleet');
  expect(asked).toEqual([request, request, request]);
});

test('any other refusal is an error, and is not asked again', async () => {
  const asked = await answering([refusal('no-such-jail')]);
  const attempt = new LocalDaemon(path).ban('fleet', ['192.0.2.1'], 60, 'fleet');
  await expect(attempt).rejects.toThrow(RefusedError);
  expect(asked).toEqual([request]);
});

const part = (address: string, more: boolean): Response => ({
  ok: true,
  data: { bans: [{ jail: 'fleet', address }] },
  ...(more && { more }),
});

async function addressesOf(daemon: LocalDaemon): Promise<string[]> {
  const found: string[] = [];
  for await (const { bans } of daemon.list('fleet')) found.push(...bans.map(({ address }) => address));
  return found;
}

test('a list in parts is read to its end', async () => {
  const asked = await answering([part('192.0.2.1', true), part('2001:db8::/64', true), part('192.0.2.3', false)]);
  expect(await addressesOf(new LocalDaemon(path))).toEqual(['192.0.2.1', '2001:db8::/64', '192.0.2.3']);
  expect(asked).toEqual([{ verb: 'list', args: { jail: 'fleet' } }]);
});

test('a list that is refused is no empty list', async () => {
  await answering([refusal('no-such-jail')]);
  await expect(addressesOf(new LocalDaemon(path))).rejects.toThrow(RefusedError);
});

test('a list that breaks off is an error', async () => {
  await answering([part('192.0.2.1', true)]);
  await expect(addressesOf(new LocalDaemon(path))).rejects.toThrow();
});

test('an unban names the jail and every address, and is over only when all is answered', async () => {
  const asked = await answering([refusal('busy')], [{ ok: true, data: {}, more: true }, refusal('no-such-jail')]);
  const attempt = new LocalDaemon(path).unban('fleet', ['192.0.2.1', '2001:db8::/64']);
  await expect(attempt).rejects.toThrow(RefusedError);
  const whole = { verb: 'unban', args: { jail: 'fleet', addresses: ['192.0.2.1', '2001:db8::/64'] } };
  expect(asked).toEqual([whole, whole]);
});

test('an answer without content is no answer', async () => {
  await answering([{ ok: true, data: {} }]);
  await expect(new LocalDaemon(path).records()).rejects.toThrow(/without an answer/);
});
