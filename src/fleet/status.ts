/** `fail2zig-fleet status`: the figures of the running process, for people. */
import { type Figure, problemsOf } from '../client/fleet-page.ts';
import { table } from '../client/present.ts';
import { printable } from '../text/printable.ts';

/** What `status` prints. */
export function presentFigures(figures: readonly Figure[]): string {
  const shown = figures.filter(({ name }) => name !== 'problem' && name !== 'refused');
  const rows = shown.map(({ name, labels, value }) => [
    `${[name.replaceAll('_', ' '), ...Object.values(labels)].map((text) => printable(text)).join(', ')}:`,
    Number.isInteger(value) ? String(value) : value.toFixed(1),
  ]);
  const refused = figures
    .filter(({ name }) => name === 'refused')
    .map(({ labels: { value = '', says = '' } }) => `not banned: ${printable(`${value}: ${says}`, 300)}\n`);
  const problems = problemsOf(figures).map((problem) => `problem: ${problem}\n`);
  return `${table(rows, [1])}${refused.join('')}${problems.join('')}`;
}
