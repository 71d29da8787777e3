/**
 * The pictures of reports/verify.html as inline SVG. Each is 420 units wide, so that its text can
 * be read on a phone; colours are classes of the page, so that they follow light and dark mode.
 */
import { html, type Markup } from './markup.ts';

const width = 420;
const left = 46;
const right = 10;

export interface Curve {
  label: string;
  /** One of the page's colours: a, b, c. */
  colour: string;
  points: readonly (readonly [x: number, y: number])[];
}

const place = (value: number): string => value.toFixed(1);

export function short(value: number): string {
  if (value >= 1e6) return `${+(value / 1e6).toFixed(2)} M`;
  if (value >= 1e4) return `${Math.round(value / 1e3)} k`;
  if (value >= 1e3) return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
  return `${+value.toPrecision(3)}`;
}

/** Round steps of an axis, four or five of them. */
function ticks(max: number): number[] {
  const raw = max / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw)!;
  return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, index) => index * step);
}

function frame(height: number, title: string, inside: readonly Markup[]): Markup {
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">${inside}</svg>`;
}

/** Curves over time in seconds; `bound` is drawn as a dashed line with its meaning. */
export function curves(
  title: string,
  drawn: readonly Curve[],
  unit: string,
  bound?: { value: number; says: string },
): Markup {
  const [top, bottom, height] = [24, 196, 222];
  const all = drawn.flatMap(({ points }) => points);
  const xMax = Math.max(1, ...all.map(([x]) => x));
  const yMax = Math.max(1, bound?.value ?? 0, ...all.map(([, y]) => y)) * 1.1;
  const x = (value: number) => place(left + (value / xMax) * (width - left - right));
  const y = (value: number) => place(bottom - (value / yMax) * (bottom - top));
  const legend = drawn.map(
    ({ label, colour }, index) => html`<text x="${left + index * 120}" y="12" class="fill-${colour}">${label}</text>`,
  );
  const rows = ticks(yMax).map(
    (tick) =>
      html`<path d="M${left} ${y(tick)}H${width - right}" class="grid"/><text x="${left - 5}" y="${place(Number(y(tick)) + 4)}" text-anchor="end">${short(tick)}</text>`,
  );
  const columns = ticks(xMax).map(
    (tick) =>
      html`<text x="${x(tick)}" y="${bottom + 16}" text-anchor="${tick > xMax * 0.95 ? 'end' : 'middle'}">${short(tick)} s</text>`,
  );
  const lines = drawn.map(
    ({ colour, points }) =>
      html`<polyline class="line-${colour}" points="${points.map(([px, py]) => `${x(px)},${y(py)}`).join(' ')}"/>`,
  );
  const dashed =
    bound === undefined
      ? []
      : [
          html`<path d="M${left} ${y(bound.value)}H${width - right}" class="bound"/><text x="${width - right}" y="${place(Number(y(bound.value)) - 5)}" text-anchor="end" class="fill-bad">${bound.says}</text>`,
        ];
  const foot = html`<text x="${width - right}" y="12" text-anchor="end">${unit}</text>`;
  return frame(height, title, [...rows, ...columns, ...dashed, ...lines, ...legend, foot]);
}

export interface Bar {
  label: string;
  value: number;
  /** The text after it, usually the value with unit and spread. */
  says: string;
  ours?: boolean;
}

/** Bars on a logarithmic scale from `from`, which the caption must say; one row each. */
export function bars(title: string, rows: readonly Bar[], from = 0): Markup {
  const rowHeight = 34;
  const max = Math.max(...rows.map(({ value }) => value));
  const scale = (value: number) =>
    from > 0 ? Math.max(0, Math.log(value / from)) / Math.log(max / from || 2) : value / max;
  const inside = rows.map(({ label, value, says, ours }, index) => {
    const y = index * rowHeight;
    const length = place(Math.max(2, scale(value) * (width - 4)));
    return html`<text x="2" y="${y + 13}">${label}</text><text x="${width - 2}" y="${y + 13}" text-anchor="end" class="strong">${says}</text><rect x="2" y="${y + 18}" width="${length}" height="9" rx="2" class="fill-${ours ? 'a' : 'quiet'}"/>`;
  });
  return frame(rows.length * rowHeight + 4, title, inside);
}

/** How often values lay in each range: `[upper end, count]`, rising. */
export function histogram(title: string, buckets: readonly (readonly [number, number])[], unit: string): Markup {
  const [top, bottom, height] = [14, 166, 194];
  const max = Math.max(1, ...buckets.map(([, count]) => count));
  const step = (width - left - right) / buckets.length;
  const inside = buckets.map(([upper, count], index) => {
    const tall = (count / max) * (bottom - top);
    const x = left + index * step;
    const label =
      index % Math.ceil(buckets.length / 8) === 0
        ? html`<text x="${place(x + step)}" y="${bottom + 16}" text-anchor="middle">${short(upper)}</text>`
        : html``;
    return html`<rect x="${place(x + 0.5)}" y="${place(bottom - tall)}" width="${place(step - 1)}" height="${place(tall)}" class="fill-a"/>${label}`;
  });
  const rows = ticks(max).map(
    (tick) =>
      html`<text x="${left - 5}" y="${place(bottom - (tick / max) * (bottom - top) + 4)}" text-anchor="end">${short(tick)}</text>`,
  );
  const axis = html`<path d="M${left} ${bottom}H${width - right}" class="grid"/><text x="${width - right}" y="${height - 2}" text-anchor="end">${unit}</text>`;
  return frame(height, title, [...rows, axis, ...inside]);
}

/** A box of the diagram. */
const box = (x: number, y: number, wide: number, words: string, more = '', kind = 'box'): Markup =>
  html`<rect x="${x}" y="${y}" width="${wide}" height="${more === '' ? 28 : 42}" rx="5" class="${kind}"/><text x="${x + wide / 2}" y="${y + 18}" text-anchor="middle" class="strong">${words}</text>${more === '' ? html`` : html`<text x="${x + wide / 2}" y="${y + 34}" text-anchor="middle">${more}</text>`}`;

/** An arrow along a path, with its boundary written beside it. */
const arrow = (path: string, head: string, words = '', x = 0, y = 0, anchor = 'start'): Markup =>
  html`<path d="${path}" class="arrow"/><path d="${head}" class="head"/>${words === '' ? html`` : html`<text x="${x}" y="${y}" text-anchor="${anchor}" class="fill-bad">${words}</text>`}`;

const down = (x: number, from: number, to: number, words = '', anchor = 'start'): Markup =>
  arrow(
    `M${x} ${from}V${to - 5}`,
    `M${x - 4} ${to - 6}L${x} ${to}L${x + 4} ${to - 6}z`,
    words,
    anchor === 'end' ? x - 7 : x + 7,
    (from + to) / 2 + 4,
    anchor,
  );

/** The trust boundaries: the six of THREAT_MODEL.md. */
export function boundaries(): Markup {
  return frame(430, 'Trust boundaries', [
    html`<rect x="8" y="160" width="404" height="188" rx="8" class="area"/><text x="16" y="178" class="strong">core process</text><text x="16" y="193">no package,</text><text x="16" y="207">starts nothing</text>`,
    box(110, 4, 150, 'attacker', '', 'box-bad'),
    down(185, 32, 52, 'TB-01'),
    box(110, 52, 150, 'sshd, nginx, mail …'),
    down(185, 80, 100, 'TB-02'),
    box(110, 100, 150, 'log file, journal'),
    down(185, 128, 188, 'TB-03: read(2)'),
    box(112, 188, 150, 'engine', 'WebAssembly, no imports', 'box-good'),
    down(185, 230, 252, 'records of fixed size'),
    box(100, 252, 170, 'enforcer'),
    down(185, 280, 304),
    box(100, 304, 170, 'backend'),
    down(185, 332, 382, 'TB-04: netlink'),
    box(100, 382, 170, 'kernel', 'sets, chains, XDP'),
    box(306, 252, 98, 'control socket'),
    arrow('M306 266H276', 'M276 262L270 266L276 270z'),
    box(306, 382, 98, 'client', 'root or group'),
    arrow('M355 382V286', 'M351 286L355 280L359 286z', 'TB-05', 350, 366, 'end'),
    box(18, 252, 74, 'metrics'),
    box(18, 382, 74, 'scraper', 'loopback'),
    arrow('M55 382V286', 'M51 286L55 280L59 286z', 'TB-06', 60, 366),
    box(306, 188, 98, 'record'),
    box(306, 52, 106, 'launch stage', 'reads the TOML'),
    arrow('M355 94V182', 'M351 182L355 188L359 182z', 'execve', 350, 140, 'end'),
  ]);
}

/** A picture as a file of its own, on white paper. */
export function standalone({ text }: Markup): string {
  const style =
    'svg { background: #fff; font: 11px sans-serif } .strong { font-weight: 600 } .fill-a { fill: #0a5fb4 } .fill-quiet { fill: #8c959f }';
  return `${text.replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ').replace('>', `><style>${style}</style>`)}\n`;
}
