/**
 * A worker that gives a daemon other work: writes a second log, and holds and scrapes its metrics
 * page.
 */
import { openSync, writeSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { randomFrom, services } from './workload.ts';

const { path, linesPerSecond } = workerData as { path: string; linesPerSecond: number };
const port = 9100;
const pauseMs = 10;
/** As many as the page accepts at once, except one for the scraper that is served. */
const idleConnections = 15;

const random = randomFrom(2);
const service = services.sshd;
const lines = Math.round((linesPerSecond * pauseMs) / 1000);
const chunk = Array.from(
  { length: lines },
  () => `${service.harmless((count) => Math.floor(random() * count), 0)}\n`,
).join('');
const descriptor = openSync(path, 'a', 0o640);
setInterval(() => writeSync(descriptor, chunk), pauseMs);

/** Connections that send nothing, reopened whenever they are closed. */
function hold(): void {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.once('close', () => setTimeout(hold, pauseMs));
}
for (let count = 0; count < idleConnections; count++) hold();

function scrape(): void {
  const again = (): void => void setTimeout(scrape, 1);
  get({ port, host: '127.0.0.1', path: '/metrics' }, (response) => response.resume().once('close', again)).once(
    'error',
    again,
  );
}
scrape();
parentPort!.postMessage('disturbing');
