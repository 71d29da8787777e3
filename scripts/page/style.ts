/** The style of reports/verify.html: light, dark, a phone and print. It loads nothing. */
export const style = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #57606a; --edge: #d0d7de; --tint: #f6f8fa;
  --a: #0a5fb4; --b: #b35900; --good: #14713c; --bad: #b3261e; --quiet: #8c959f; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e6e9ec; --soft: #a3abb5; --edge: #363c44;
  --tint: #1d2127; --a: #6cb0f5; --b: #f0a35a; --good: #5fc98b; --bad: #ff8a80; --quiet: #6e7781; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: .5rem 0; } h2 { font-size: 1.3rem; margin: 2.5rem 0 .75rem;
  border-bottom: 1px solid var(--edge); padding-bottom: .25rem; } h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
a { color: var(--a); text-decoration-thickness: 1px; text-underline-offset: 2px; }
code { font: .88em ui-monospace, "DejaVu Sans Mono", monospace; }
.soft, figcaption { color: var(--soft); font-size: .88rem; }
.totals { list-style: none; padding: 0; margin: 1rem 0; } .totals li { margin: .3rem 0; }
.badge { display: inline-block; border: 1px solid currentColor; border-radius: 4px; padding: 0 .4em; font-size: .75rem;
  font-weight: 700; letter-spacing: .03em; white-space: nowrap; }
.held { color: var(--good); } .failed, .not-met { color: var(--bad); } .pending, .skipped { color: var(--b); }
.position, .not-run { color: var(--soft); } .bad { color: var(--bad); }
.ids { margin: 0; line-height: 1.9; } .ids a { display: inline-block; margin-right: .5em; white-space: nowrap; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.5rem; align-items: start; }
figure { margin: 0; } figcaption { margin-top: .4rem; }
svg { display: block; width: 100%; max-width: 34rem; height: auto; font: 11px system-ui, "DejaVu Sans", sans-serif; }
svg text { fill: var(--ink); } svg .strong { font-weight: 600; }
svg .grid { stroke: var(--edge); fill: none; } svg .bound { stroke: var(--bad); stroke-dasharray: 5 3; fill: none; }
svg .line-a { stroke: var(--a); } svg .line-b { stroke: var(--b); } svg polyline { fill: none; stroke-width: 1.6; }
svg .fill-a { fill: var(--a); } svg .fill-b { fill: var(--b); } svg .fill-quiet { fill: var(--quiet); }
svg .fill-bad { fill: var(--bad); } svg .arrow { stroke: var(--soft); fill: none; stroke-width: 1.4; }
svg .head { fill: var(--soft); } svg .area { fill: var(--tint); stroke: var(--edge); }
svg .box, svg .box-good, svg .box-bad { fill: var(--paper); stroke: var(--soft); }
svg .box-good { stroke: var(--good); stroke-width: 2; } svg .box-bad { stroke: var(--bad); stroke-width: 2; }
.claim { border: 1px solid var(--edge); border-radius: 6px; padding: .25rem 1rem .75rem; margin: 1rem 0; }
.claim:target { border-color: var(--a); box-shadow: 0 0 0 2px var(--a); }
.claim h3 a { color: inherit; } .sentence { margin: .25rem 0 .5rem; font-size: 1.05rem; }
dl { display: grid; grid-template-columns: 9rem 1fr; gap: .35rem 1rem; margin: 0; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; } dd ul { margin: 0; padding-left: 1.1rem; }
.caught { color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: .88rem; margin: .5rem 0; }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-top: 1px solid var(--edge); }
.bounds td:first-child, .rooms td:first-child { min-width: 8rem; }
@media (max-width: 36rem) { body { padding: .75rem; } dl { grid-template-columns: 1fr; gap: 0; }
  dt { margin-top: .5rem; font-size: .82rem; } .claim { padding: .25rem .75rem .6rem; }
  .bounds thead { display: none; } .bounds tr { display: block; border-top: 1px solid var(--edge); padding: .4rem 0; }
  .bounds td { display: block; border: 0; padding: 0; } }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --edge: #bbb; --tint: #f4f4f4;
  --a: #0a4a8c; --b: #8a4500; --good: #0e5a2f; --bad: #8f1d17; --quiet: #888; }
  body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; } a { text-decoration: none; }
  .claim, figure { break-inside: avoid; } h2, h3 { break-after: avoid; } thead { display: table-header-group; }
  .pictures { grid-template-columns: 1fr 1fr; } @page { margin: 15mm; } }
`;
