/**
 * Two charts of an attack, one above the other, as one SVG: bans in the kernel, and resident memory
 * against its ceiling.
 */

export interface Sample {
  /** Since the first line. */
  seconds: number;
  bans: number;
  residentBytes: number;
}

const width = 800;
const panelHeight = 220;
const left = 70;
const right = 20;
const top = 40;
const between = 60;

interface Panel {
  title: string;
  at: number;
  max: number;
  points: [number, number][];
  line?: { value: number; says: string };
}

const fixed = (value: number): string => value.toFixed(1);

function panel({ title, at, max, points, line }: Panel, secondsMax: number): string {
  const x = (seconds: number): number => left + (seconds / secondsMax) * (width - left - right);
  const y = (value: number): number => at + panelHeight - (value / max) * panelHeight;
  const path = points.map(([seconds, value]) => `${fixed(x(seconds))},${fixed(y(value))}`).join(' ');
  const marks = [0, 0.5, 1].map(
    (part) =>
      `<text x="${left - 8}" y="${fixed(y(max * part) + 4)}" text-anchor="end">${Math.round(max * part).toLocaleString('en-US')}</text>` +
      `<line x1="${left}" x2="${width - right}" y1="${fixed(y(max * part))}" y2="${fixed(y(max * part))}" stroke="#ddd"/>`,
  );
  const seconds = [0, 0.25, 0.5, 0.75, 1].map(
    (part) =>
      `<text x="${fixed(x(secondsMax * part))}" y="${at + panelHeight + 18}" text-anchor="middle">${Math.round(secondsMax * part)} s</text>`,
  );
  const limit =
    line === undefined
      ? ''
      : `<line x1="${left}" x2="${width - right}" y1="${fixed(y(line.value))}" y2="${fixed(y(line.value))}" stroke="#b00" stroke-dasharray="6 4"/>` +
        `<text x="${width - right}" y="${fixed(y(line.value) - 5)}" text-anchor="end" fill="#b00">${line.says}</text>`;
  return [
    `<text x="${left}" y="${at - 12}" font-weight="bold">${title}</text>`,
    ...marks,
    ...seconds,
    limit,
    `<polyline points="${path}" fill="none" stroke="#06c" stroke-width="2"/>`,
  ].join('\n');
}

export function chart(
  samples: Sample[],
  { sources, perSecond, ceilingBytes }: { sources: number; perSecond: number; ceilingBytes: number },
): string {
  const secondsMax = samples.at(-1)?.seconds ?? 1;
  const mebibytes = (bytes: number): number => bytes / 2 ** 20;
  const height = top + 2 * panelHeight + between + 40;
  const bans: Panel = {
    title: `Bans in the kernel: ${sources.toLocaleString('en-US')} sources, ${perSecond.toLocaleString('en-US')} log lines a second`,
    at: top,
    max: sources,
    points: samples.map(({ seconds, bans: landed }) => [seconds, landed]),
  };
  const memory: Panel = {
    title: 'Resident memory of the whole process, MiB',
    at: top + panelHeight + between,
    max: Math.ceil(mebibytes(ceilingBytes) / 20) * 20,
    points: samples.map(({ seconds, residentBytes }) => [seconds, mebibytes(residentBytes)]),
    line: { value: mebibytes(ceilingBytes), says: `${fixed(mebibytes(ceilingBytes))} MiB` },
  };
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="#fff"/>
${panel(bans, secondsMax)}
${panel(memory, secondsMax)}
</svg>
`;
}
