/** Curves over time as one SVG of stacked panels. */

export interface Panel {
  title: string;
  curves: { label: string; colour: string; points: readonly (readonly [x: number, y: number])[] }[];
  /** A horizontal line with its meaning. */
  bound?: { label: string; y: number };
}

const width = 960;
const panelHeight = 200;
const margin = { left: 90, right: 20, top: 28, bottom: 30 };
/**
 * Points drawn per curve. The highest value of each stretch is kept, so that no peak is smoothed
 * away.
 */
const pointsMax = 1_200;

const escapeText = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** Round steps for an axis up to `max`. */
function ticks(max: number): number[] {
  const raw = max / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw) ?? raw;
  return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, i) => i * step);
}

function short(value: number): string {
  if (value >= 1e6) return `${+(value / 1e6).toFixed(2)} M`;
  return value >= 1e3 ? `${+(value / 1e3).toFixed(2)} k` : `${+value.toFixed(2)}`;
}

function thin<Point extends readonly [number, number]>(points: readonly Point[]): Point[] {
  const each = Math.ceil(points.length / pointsMax);
  const kept: Point[] = [];
  for (let i = 0; i < points.length; i += each) {
    kept.push(points.slice(i, i + each).reduce((best, point) => (point[1] > best[1] ? point : best)));
  }
  return kept;
}

function drawPanel({ title, curves, bound }: Panel, top: number, xMax: number): string {
  const values = curves.flatMap(({ points }) => points.map(([, y]) => y));
  const yMax =
    Math.max(
      1,
      bound?.y ?? 0,
      values.reduce((a, b) => Math.max(a, b), 0),
    ) * 1.08;
  const x = (value: number): string => (margin.left + (value / xMax) * (width - margin.left - margin.right)).toFixed(1);
  const bottom = top + panelHeight - margin.bottom;
  const y = (value: number): string =>
    (bottom - (value / yMax) * (panelHeight - margin.top - margin.bottom)).toFixed(1);
  const parts = [`<text x="${margin.left}" y="${top + 16}" font-weight="bold">${escapeText(title)}</text>`];
  for (const tick of ticks(yMax)) {
    parts.push(`<path d="M${margin.left} ${y(tick)}H${width - margin.right}" stroke="#ddd"/>`);
    parts.push(`<text x="${margin.left - 8}" y="${Number(y(tick)) + 4}" text-anchor="end">${short(tick)}</text>`);
  }
  for (const tick of ticks(xMax)) {
    parts.push(`<text x="${x(tick)}" y="${bottom + 16}" text-anchor="middle">${short(tick)} s</text>`);
  }
  if (bound) {
    parts.push(
      `<path d="M${margin.left} ${y(bound.y)}H${width - margin.right}" stroke="#c00" stroke-dasharray="6 4"/>`,
    );
    parts.push(
      `<text x="${margin.left + 4}" y="${Number(y(bound.y)) - 4}" fill="#c00">${escapeText(bound.label)}</text>`,
    );
  }
  curves.forEach(({ label, colour, points }, index) => {
    const line = thin(points).map(([px, py]) => `${x(px)},${y(py)}`);
    parts.push(`<polyline points="${line.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.5"/>`);
    const at = width - margin.right - 130 * (curves.length - index);
    parts.push(`<text x="${at}" y="${top + 16}" fill="${colour}">${escapeText(label)}</text>`);
  });
  return parts.join('\n');
}

export function plot(title: string, panels: readonly Panel[]): string {
  const xs = panels.flatMap(({ curves }) => curves.flatMap(({ points }) => points.map(([x]) => x)));
  const xMax = Math.max(
    1,
    xs.reduce((a, b) => Math.max(a, b), 0),
  );
  const height = 40 + panels.length * panelHeight;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="white"/>
<text x="${margin.left}" y="24" font-size="15">${escapeText(title)}</text>
${panels.map((panel, index) => drawPanel(panel, 40 + index * panelHeight, xMax)).join('\n')}
</svg>
`;
}
