/**
 * Reads the figures of a running fail2zig-fleet from its page on loopback: for its own `status` and
 * for `doctor`. Input: whatever listens on that port; displayed texts pass `printable`.
 */
import { get } from 'node:http';
import { clientAnswerMs, fleetPageBytesMax } from '../config/limits.ts';
import { printable } from '../text/printable.ts';

/** One figure of a page. */
export interface Figure {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** The text of the page; rejects if nobody answers. */
export function readPage(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(
      { host: '127.0.0.1', port, path: '/metrics', agent: false, timeout: clientAnswerMs },
      (response) => {
        const pieces: Buffer[] = [];
        let bytes = 0;
        response.on('data', (piece: Buffer) => {
          bytes += piece.length;
          if (bytes > fleetPageBytesMax) response.destroy(new Error('the page has no end'));
          else pieces.push(piece);
        });
        response.once('error', reject);
        response.once('end', () => resolve(Buffer.concat(pieces).toString()));
      },
    );
    request.once('timeout', () => request.destroy(new Error(`no answer within ${clientAnswerMs} ms`)));
    request.once('error', reject);
  });
}

/** The figures of one of our pages; other lines are skipped. */
export function figuresOf(page: string): Figure[] {
  const found: Figure[] = [];
  for (const line of page.split('\n')) {
    const [, name, labels = '', value] = /^fail2zig_fleet_([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const pairs = [...labels.matchAll(/([a-z]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]): [string, string] => [
      label!,
      text!.replaceAll(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character)),
    ]);
    found.push({ name, labels: Object.fromEntries(pairs), value: Number(value) });
  }
  return found;
}

/** The problems that the page reports. */
export function problemsOf(figures: readonly Figure[]): string[] {
  return figures
    .filter(({ name }) => name === 'problem')
    .map(({ labels: { part, says } }) => printable(`${part}: ${says}`, (says?.length ?? 0) + 20));
}
