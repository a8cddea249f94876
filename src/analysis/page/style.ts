/** The page's style sheet. Colours have meanings; light and dark give each its value (after Okabe and Ito, colour-blind safe). */
export const STYLE = `
:root { color-scheme: light dark;
  --paper: #f7f8f9; --surface: #ffffff; --ink: #1b2530; --muted: #56636f; --line: #dde2e6; --link: #005a92;
  --price: #3b4854; --level: #0072b2; --active: #007a5a; --normal: #9fb1bf; --caution: #d98c00; --halted: #c8460a;
  --off: #6a4c93; --loss: #a8477f; --heat0: #eef1f3; --heat1: #cfe0ec; --heat2: #7fb0d3;
  --tint-ok: #eaf3f0; --tint-caution: #fdf3df; --tint-halted: #fceae1; --text-caution: #7a4c00; --text-halted: #a03503; --text-ok: #00624a; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #12171c; --surface: #1a2127; --ink: #e6ebef; --muted: #a3b0bb; --line: #2f3a43; --link: #7cc0ee;
  --price: #c6d0d8; --level: #56b4e9; --active: #3cc49b; --normal: #5b6d7b; --caution: #e9a93a; --halted: #f07a3c;
  --off: #b59ad9; --loss: #dc8fbb; --heat0: #222b32; --heat1: #274457; --heat2: #3a7aa5;
  --tint-ok: #16302a; --tint-caution: #362a12; --tint-halted: #3a2015; --text-caution: #f0bf6a; --text-halted: #f7a47a; --text-ok: #7fdcbd; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif; font-variant-numeric: tabular-nums; }
.page { max-width: 1120px; margin: 0 auto; padding: 0 24px 64px; }
a { color: var(--link); text-underline-offset: 3px; }
:focus-visible { outline: 3px solid var(--level); outline-offset: 2px; border-radius: 2px; }
.skip { position: absolute; left: -999px; } .skip:focus { left: 16px; top: 8px; background: var(--surface); padding: 8px 12px; z-index: 1; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
header { padding: 40px 0 20px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -.015em; font-weight: 650; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 21px; line-height: 1.3; letter-spacing: -.01em; font-weight: 650; margin: 56px 0 4px; }
h3 { font-size: 16px; line-height: 1.4; font-weight: 650; margin: 0; overflow-wrap: anywhere; }
p { margin: 0 0 8px; max-width: 74ch; }
.lede, figcaption p, .note { color: var(--muted); } .note { font-size: 14px; }
nav ul { display: flex; flex-wrap: wrap; gap: 4px 20px; padding: 0; margin: 14px 0 0; list-style: none; font-size: 15px; }
.banner { border: 1px solid var(--caution); border-left-width: 6px; background: var(--tint-caution); padding: 12px 16px; border-radius: 4px; margin: 0 0 20px; overflow-wrap: anywhere; }
.banner.halted { border-color: var(--halted); background: var(--tint-halted); } .banner p { margin: 0; }
.verdict { display: grid; grid-template-columns: auto 1fr; gap: 2px 16px; align-items: start; padding: 18px 20px; border-radius: 6px; background: var(--tint-ok); border-left: 6px solid var(--active); }
.verdict.caution { background: var(--tint-caution); border-color: var(--caution); } .verdict.halted { background: var(--tint-halted); border-color: var(--halted); } .verdict.unknown { background: var(--surface); border-color: var(--muted); }
.verdict .sign { grid-row: span 2; font-size: 26px; line-height: 1.25; font-weight: 700; color: var(--text-ok); } .caution .sign { color: var(--text-caution); } .halted .sign { color: var(--text-halted); } .unknown .sign { color: var(--muted); }
.verdict strong { font-size: 22px; line-height: 1.45; font-weight: 650; letter-spacing: -.01em; } .verdict p { margin: 0; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(5, 1fr); gap: 1px; background: var(--line); border: 1px solid var(--line); border-radius: 6px; overflow: hidden; margin: 20px 0 0; padding: 0; }
.cards > div { background: var(--surface); padding: 14px 16px; min-width: 0; overflow-wrap: anywhere; }
.cards dt { font-size: 13.5px; color: var(--muted); } .cards dd { margin: 0; } .cards .value { font-size: 23px; line-height: 1.35; font-weight: 620; letter-spacing: -.01em; } .cards .by { font-size: 13px; line-height: 1.4; color: var(--muted); }
figure { margin: 20px 0 0; padding: 18px 20px 14px; background: var(--surface); border: 1px solid var(--line); border-radius: 6px; }
figcaption { margin-bottom: 10px; }
figure svg { display: block; width: 100%; height: auto; font-family: inherit; overflow: visible; }
.narrow { display: none; }
.key { display: flex; flex-wrap: wrap; gap: 2px 18px; list-style: none; margin: 0 0 8px; padding: 0; font-size: 13.5px; color: var(--muted); } .key li { display: inline-flex; align-items: center; gap: 7px; } .key svg { width: 22px; height: 12px; flex: none; }
details.data { margin-top: 6px; font-size: 14px; } summary { cursor: pointer; } details.data > summary { color: var(--muted); padding: 4px 0; width: fit-content; }
.scroll { overflow-x: auto; max-height: 420px; overflow-y: auto; margin: 8px 0; border: 1px solid var(--line); border-radius: 4px; } section > .scroll, .open .scroll { max-height: none; }
table { border-collapse: collapse; width: 100%; font-size: 14px; background: var(--surface); } caption { text-align: left; padding: 8px 12px; color: var(--muted); font-size: 13.5px; }
th, td { text-align: left; padding: 6px 12px; vertical-align: top; border-top: 1px solid var(--line); font-weight: 400; overflow-wrap: anywhere; unicode-bidi: isolate; } td.wide { min-width: 240px; }
thead th { font-weight: 600; color: var(--muted); font-size: 13px; border-top: 0; white-space: nowrap; overflow-wrap: normal; position: sticky; top: 0; background: var(--surface); box-shadow: inset 0 -1px var(--line); } .num { text-align: right; white-space: nowrap; } time { white-space: nowrap; } .none { color: var(--muted); }
.empty { padding: 14px 16px; border: 1px dashed var(--line); border-radius: 6px; color: var(--muted); margin: 16px 0 0; }
.incidents { margin: 20px 0 0; border: 1px solid var(--line); border-radius: 6px; background: var(--surface); padding: 0; list-style: none; } .incidents > li + li { border-top: 1px solid var(--line); }
.incidents summary { display: grid; grid-template-columns: 18px 164px 216px 1fr 100px; gap: 4px 14px; padding: 9px 16px; align-items: baseline; list-style: none; } .incidents summary::-webkit-details-marker { display: none; } .incidents summary::before { content: "▸"; color: var(--muted); } .incidents details[open] > summary::before { content: "▾"; } .incidents summary:hover { background: var(--paper); }
.incidents .text { color: var(--muted); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate; } .incidents details[open] .text { white-space: normal; overflow-wrap: anywhere; } .incidents .lasted { text-align: right; color: var(--muted); white-space: nowrap; }
.tag { font-weight: 600; } .tag.halted { color: var(--text-halted); } .tag.caution { color: var(--text-caution); } .tag::before { content: ""; display: inline-block; width: 9px; height: 9px; margin-right: 8px; background: var(--normal); border-radius: 50%; } .tag.halted::before { background: var(--halted); border-radius: 0; } .tag.caution::before { background: var(--caution); border-radius: 0; transform: rotate(45deg); }
.why { padding: 4px 20px 18px 48px; } .why > p { overflow-wrap: anywhere; } .why code { font-size: 13px; }
.steps { list-style: none; margin: 10px 0 0; padding: 0 0 0 14px; border-left: 2px solid var(--line); font-size: 14px; } .steps + .note { margin-top: 10px; } .steps li { padding: 4px 0; overflow-wrap: anywhere; } .steps .event { font-weight: 600; } .steps .part { color: var(--muted); font-size: 13px; } .bad { color: var(--text-halted); font-weight: 600; }
code { font: 13.5px/1.5 ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.figures details { border-top: 1px solid var(--line); padding: 8px 0; } .figures summary { font-weight: 600; }
footer { margin-top: 56px; padding-top: 16px; border-top: 1px solid var(--line); color: var(--muted); font-size: 14px; }
@media screen and (max-width: 1000px) { .incidents summary { grid-template-columns: 18px 164px 1fr 100px; } .incidents .text { grid-column: 2 / -1; grid-row: 2; } }
@media screen and (max-width: 720px) { .page { padding: 0 16px 48px; } header { padding-top: 24px; } h1 { font-size: 25px; } figure { padding: 14px 12px 10px; margin-left: -8px; margin-right: -8px; } .wide { display: none; } .narrow { display: block; } td.wide { display: table-cell; } .cards { grid-template-columns: 1fr 1fr; } .cards .value { font-size: 20px; }
  .incidents summary { grid-template-columns: 14px 1fr auto; } .incidents .text { grid-column: 2 / -1; grid-row: 3; white-space: normal; overflow-wrap: anywhere; } .incidents .tag { grid-column: 2 / -1; grid-row: 2; } .incidents time { grid-column: 2; grid-row: 1; } .incidents .lasted { grid-row: 1; grid-column: 3; } .why { padding: 4px 16px 16px; } }
@media print { @page { margin: 14mm 12mm; }
  :root { color-scheme: light; --paper: #fff; --surface: #fff; --ink: #111; --muted: #444; --line: #ccc; --link: #111; --price: #333; --level: #0072b2; --active: #007a5a; --normal: #9fb1bf; --caution: #d98c00; --halted: #c8460a; --off: #6a4c93; --loss: #a8477f; --heat0: #eef1f3; --heat1: #cfe0ec; --heat2: #7fb0d3; --tint-ok: #fff; --tint-caution: #fff; --tint-halted: #fff; --text-caution: #7a4c00; --text-halted: #a03503; --text-ok: #00624a; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  body { font-size: 11pt; } .page { max-width: none; padding: 0; } header { padding-top: 0; } nav, .skip, details.data { display: none; } .wide { display: block; } .narrow { display: none; }
  figure, .verdict, .cards, .cards > div, .incidents > li { break-inside: avoid; } h2, h3 { break-after: avoid; } h2 { margin-top: 28px; }
  .scroll { overflow: visible; max-height: none; } thead th { position: static; } thead { display: table-header-group; } tr { break-inside: avoid; }
  details::details-content { content-visibility: visible; display: block; block-size: auto; } .figures details { border: 0; } .incidents summary { grid-template-columns: 138px 1fr 100px; } .incidents .text { grid-column: 2 / -1; grid-row: 2; white-space: normal; overflow-wrap: anywhere; } .incidents summary::before, .incidents details[open] > summary::before { display: none; } .why { padding-left: 30px; } .incidents > li:nth-child(n+11) .steps, .incidents > li:nth-child(n+11) .note { display: none; } .why > .steps { font-size: 9.5pt; } a { text-decoration: none; } }
`;
