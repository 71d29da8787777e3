/**
 * A worker that attacks a daemon's listeners: very many connections to the metrics page that never
 * end their request (`slowloris`), invalid frames on the control socket (`frames`), or clients that
 * ask for long answers and never read (`deaf`). Reports what it has done when asked.
 */
import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { encodeFrame } from '../src/control/protocol.ts';
import { randomFrom } from './workload.ts';

const { kind, socket: path } = workerData as { kind: 'slowloris' | 'frames' | 'deaf'; socket: string };
const port = 9100;
const pauseMs = 10;
/** Connections at once; the control socket takes few. */
const connections = { slowloris: 1_000, frames: 4, deaf: 8 }[kind];
/** Frames that are written at once. */
const framesPerWrite = 50;

const random = randomFrom(3);
let done = 0;

/** Keeps a connection open, and reopens it whenever it is closed. */
function keep(open: () => Socket, use: (socket: Socket) => void): void {
  const socket = open();
  socket.on('error', () => undefined);
  socket.once('connect', () => use(socket));
  socket.once('close', () => setTimeout(keep, pauseMs, open, use));
}

/** An invalid frame: with a wrong length, or a body that is not a request. */
function hostileFrame(): Buffer {
  const body = Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256)));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(random() < 0.02 ? 0xffff_ffff : body.length);
  return Buffer.concat([head, body]);
}

function writeFrames(socket: Socket): void {
  if (socket.destroyed) return;
  done += framesPerWrite;
  const ready = socket.write(Buffer.concat(Array.from({ length: framesPerWrite }, hostileFrame)));
  socket.resume();
  if (ready) setTimeout(writeFrames, 1, socket);
  else socket.once('drain', () => writeFrames(socket));
}

function askAndWait(socket: Socket): void {
  socket.pause();
  for (let asked = 0; asked < framesPerWrite; asked++) {
    socket.write(encodeFrame({ verb: 'list', args: {} }));
    done++;
  }
}

const uses: Record<typeof kind, () => void> = {
  slowloris: () =>
    keep(
      () => connect(port, '127.0.0.1'),
      (socket) => {
        done++;
        socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n');
      },
    ),
  frames: () => keep(() => connect(path), writeFrames),
  deaf: () => keep(() => connect(path), askAndWait),
};
for (let count = 0; count < connections; count++) uses[kind]();
parentPort!.on('message', () => parentPort!.postMessage(done));
parentPort!.postMessage('disturbing');
