/** The recorded run of the peers as a table for the documents, and as a picture. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bars, standalone } from '../scripts/page/pictures.ts';

export interface PeersRun {
  path: string;
  command: string;
  benchmark: string;
  options: Record<string, number>;
  at: string;
  machine: Record<string, string | number>;
  loadBefore: number;
  loadAfter: number;
  results: {
    workload: string;
    counts: Record<string, string | number>;
    figures: { name: string; unit: string; median: number; spread: number; n: number; values?: number[] }[];
    problems: string[];
  }[];
}

const root = join(import.meta.dirname, '..');

/** Throws if there is no recorded run. */
export function newestPeersRun(): PeersRun {
  const path = globSync('bench/runs/*/peers.json', { cwd: root }).sort().at(-1);
  if (path === undefined) throw new Error('no run of the peers below bench/runs');
  return { ...(JSON.parse(readFileSync(join(root, path), 'utf8')) as PeersRun), path };
}

const rowsOf = ({ results }: PeersRun) =>
  results.map(({ workload, counts, figures }) => {
    const figure = (wanted: string) => figures.find(({ name }) => name === wanted)!;
    const percent = (wanted: string) => `±${Math.round(figure(wanted).spread * 100)} %`;
    const name = `${workload.replace('parse/', '')} ${counts.version}`;
    return { name, counts, figure, percent, thousands: Math.round(figure('cpu').median / 1000) };
  });

/** The table between the marks of docs/white-paper.md. */
export function peersTable(run: PeersRun): string {
  const { path, command, at, machine, loadBefore, loadAfter } = run;
  const rows = rowsOf(run).map(
    ({ name, counts, figure, percent, thousands }) =>
      `| ${name} | ${thousands} k ${percent('cpu')} | ${figure('resident').median.toFixed(0)} MiB ${percent('resident')} | ${(figure('start').median * 1000).toFixed(0)} ms | ${counts.found} |\n`,
  );
  return `| program | lines a second of CPU time | resident, its processes together | CPU time of its start | found |
|---|---|---|---|---|
${rows.join('')}
${run.results[0]!.counts.lines} lines, \`${command}\` on ${at.slice(0, 10)}, ${machine.cpus} × ${machine.cpu}, kernel ${machine.kernel}, load ${loadBefore.toFixed(1)} to
${loadAfter.toFixed(1)}: [${path.split('/').at(-1)}](../${path}).
`;
}

/** The same as bars, for documents. */
export function peersPicture(run: PeersRun): string {
  const drawn = rowsOf(run).map(({ name, percent, thousands }) => ({
    label: name,
    value: thousands,
    says: `${thousands.toLocaleString('en-US')} k lines/s ${percent('cpu')}`,
    ours: name.startsWith('fail2zig'),
  }));
  return standalone(bars('Lines a second of CPU time over the same log, logarithmic scale from 1 k', drawn, 1));
}

/** The white paper with the table of the newest run between its marks. */
export function withPeersTable(paper: string): string {
  const table = peersTable(newestPeersRun());
  return paper.replace(/(<!-- peers:begin -->\n)[\s\S]*?(<!-- peers:end -->)/, (_, begin, end) => begin + table + end);
}
