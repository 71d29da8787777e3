/**
 * The process of the stand-in server (stand-in.ts): it holds decisions that expire like those of a
 * real one, takes alerts, and gives the answers that it is told to give.
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type Answer, addressOf, type Holding, type Order, port, type Report } from './stand-in.ts';

/** Epoch milliseconds from which the ends count. */
const base = Date.now();
const address = process.argv[2]!;

/** Answers to the next requests for decisions, of whatever kind. */
const next: Answer[] = [];
/** The answer to a request for the complete list. */
let holds: Holding | undefined;
/** The answers to requests for changes, in turn; `always`: to every request for decisions. */
let otherwise: readonly Answer[] = [];
let always: readonly Answer[] = [];
let turn = 0;
const alerts: string[] = [];
const sockets = new Set<Socket>();

const report = (what: Report): void => void process.send!(what);

/** Decisions as a Local API writes them, with their remaining time, in pieces of some 64 KiB. */
function* decisions({ first = 0, count }: Holding, isOver = false): Generator<string> {
  let text = '';
  for (let index = first; index < first + count; index++) {
    const left = base + 360_000_000 - Date.now();
    const duration = isOver ? '-1s' : `${Math.floor(left / 1000)}.${left % 1000}s`;
    text += `${index === first ? '' : ','}{"duration":"${duration}","id":${index},"origin":"cscli-import","scenario":"a list","scope":"Ip","type":"ban","value":"${addressOf(index)}"}`;
    if (text.length < 65_536) continue;
    yield text;
    text = '';
  }
  yield text;
}

function* listText({ added, deleted }: { added?: Holding; deleted?: Holding }): Generator<string> {
  yield '{"new":';
  if (added === undefined) yield 'null';
  else {
    yield '[';
    yield* decisions(added);
    yield ']';
  }
  yield ',"deleted":';
  if (deleted === undefined) yield 'null}';
  else {
    yield '[';
    yield* decisions(deleted, true);
    yield ']}';
  }
}

async function write(response: ServerResponse, text: string | Buffer): Promise<void> {
  if (response.write(text) || response.destroyed) return;
  const over = new AbortController();
  const { signal } = over;
  await Promise.race(['drain', 'close'].map((event) => once(response, event, { signal })));
  over.abort();
}

const answers: { [Kind in Answer['kind']]: (response: ServerResponse, answer: Answer & { kind: Kind }) => unknown } = {
  list: async (response, answer) => {
    for (const text of listText(answer)) if (!response.destroyed) await write(response, text);
    response.end();
  },
  drip: async (response, answer) => {
    for (const byte of [...listText(answer)].join('')) {
      if (response.destroyed) return;
      response.write(byte);
      await pause(20);
    }
    response.end();
  },
  garbage: (response) => response.end(Buffer.alloc(1 << 20, 0xa5)),
  endless: async (response) => {
    response.write('{"new":[{"value":"');
    while (!response.destroyed) await write(response, Buffer.alloc(65_536, 0x39));
  },
  page: (response) => response.writeHead(502).end('<html>'),
  'no lists': (response) => response.end('{}'),
  cut: (response) => {
    response.write('{"deleted":null,"new":[{"duration":"1h","origin":"cscli","scenario":"x","scope":"Ip"');
    setTimeout(() => response.destroy(), 50);
  },
};

async function answer(response: ServerResponse, isWhole: boolean): Promise<void> {
  const set = next.shift();
  if (set !== undefined) report({ taken: 1 });
  const among = always.length > 0 ? always : isWhole || otherwise.length === 0 ? undefined : otherwise;
  const usual: Answer = isWhole && holds !== undefined ? { kind: 'list', added: holds } : { kind: 'list' };
  const chosen = set ?? among?.[turn++ % among.length] ?? usual;
  try {
    await answers[chosen.kind](response, chosen as never);
  } catch {
    response.destroy();
  }
  if (set !== undefined) report({ sent: 1 });
}

async function takeAlerts(
  request: AsyncIterable<Buffer> & { method?: string; url?: string },
  response: ServerResponse,
): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece);
  if (request.method === 'GET') {
    const value = new URL(request.url!, 'http://host').searchParams.get('value');
    const held = alerts.filter((message) => message.startsWith(`${value} `));
    response.end(JSON.stringify(held.map((message) => ({ message }))));
    return;
  }
  const taken = (JSON.parse(Buffer.concat(pieces).toString()) as { message: string }[]).map(({ message }) => message);
  alerts.push(...taken);
  report({ alerts: taken });
  response.writeHead(201).end('[]');
}

const server = createServer((request, response) => {
  const { url = '' } = request;
  if (url.startsWith('/v1/alerts')) {
    takeAlerts(request, response).catch(() => response.destroy());
    return;
  }
  request.resume();
  if (url.startsWith('/v1/decisions/stream')) void answer(response, url.endsWith('startup=true'));
  else response.end(JSON.stringify({ token: 't', expire: new Date(Date.now() + 3_600_000).toISOString() }));
});
server.on('connection', (socket) => {
  sockets.add(socket);
  socket.on('error', () => undefined);
  socket.once('close', () => sockets.delete(socket));
});

const orders: { [What in Order['what']]: (order: Order & { what: What }) => unknown } = {
  next: (order) => void next.push(order.answer),
  set: (order) => {
    holds = order.holds;
    otherwise = order.otherwise ?? [];
    always = order.always ?? [];
    turn = 0;
  },
  listen: () => {
    server.listen(port, address);
    return once(server, 'listening');
  },
  /** Ends at once, in the middle of its output. */
  kill: () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    return closed;
  },
};

process.on('message', async (order: Order) => {
  await orders[order.what](order as never);
  report({ done: true });
});
process.once('disconnect', () => process.exit(0));
