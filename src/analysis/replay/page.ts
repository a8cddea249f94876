/** A sweep as one HTML page that needs nothing else: a heat map for each figure as SVG, and every number as a table. */
import type { ParameterValue } from './parameters.ts';
import type { SweepResult, SweepRow } from './replay.ts';
import { type SweepFigure, sweepTable } from './sweep-table.ts';

const FIGURES = [
  ['result', 'Result at recorded prices'],
  ['halts', 'Halts'],
  ['halted_minutes', 'Minutes halted'],
  ['stops_fired', 'Stops fired'],
  ['orders_denied', 'Orders denied'],
  ['calls_refused', 'Calls refused'],
  ['differences', 'Decisions that come out otherwise'],
  ['unknown', 'Of which nothing can be known'],
] as const satisfies readonly (readonly [SweepFigure, string])[];

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`).replace(/\p{Cc}/gu, ' ');
const textOf = (value: ParameterValue | undefined): string => String(value ?? 'none');
const numberText = (value: number): string =>
  value.toLocaleString('en-US', {
    maximumFractionDigits: 2,
    notation: Math.abs(value) >= 1e9 ? 'compact' : 'standard',
  });

/** Dark blue through grey to yellow: told apart without red and green (Cividis). */
const SCALE = [
  [0, 34, 78],
  [59, 73, 108],
  [123, 122, 121],
  [187, 174, 108],
  [254, 232, 56],
] as const;

function colourOf(share: number): readonly [fill: string, ink: string] {
  const place = Math.min(SCALE.length - 1.000001, Math.max(0, share) * (SCALE.length - 1));
  const at = Math.floor(place);
  const mixed = SCALE[at]!.map((one, index) => Math.round(one + (SCALE[at + 1]![index]! - one) * (place - at)));
  const luminance = (mixed[0]! * 0.2126 + mixed[1]! * 0.7152 + mixed[2]! * 0.0722) / 255;
  return [`rgb(${mixed.join(',')})`, luminance > 0.45 ? '#111' : '#fff'];
}

const CELL_WIDTH = 86;
const CELL_HEIGHT = 30;
const LABEL_WIDTH = 90;

type Figure = (typeof FIGURES)[number][0];

function heatMap(sweep: SweepResult, name: Figure, title: string, at: number): string {
  const [down, across] = sweep.axes.length === 2 ? sweep.axes : [undefined, sweep.axes[0]!];
  const columns = across!.values;
  const rows: readonly (ParameterValue | undefined)[] = down === undefined ? [undefined] : down.values;
  const values = sweep.rows.map((row) => row[name]);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const find = (row: ParameterValue | undefined, column: ParameterValue): SweepRow | undefined =>
    sweep.rows.find(
      ({ parameters }) =>
        parameters[across!.parameter] === column && (down === undefined || parameters[down.parameter] === row),
    );
  const parts: string[] = [];
  for (const [x, column] of columns.entries()) {
    const left = LABEL_WIDTH + x * CELL_WIDTH + CELL_WIDTH / 2;
    parts.push(`<text x="${left}" y="16" text-anchor="middle">${escapeHtml(textOf(column))}</text>`);
  }
  for (const [y, row] of rows.entries()) {
    const top = 24 + y * CELL_HEIGHT;
    if (row !== undefined) {
      const label = escapeHtml(textOf(row));
      parts.push(`<text x="${LABEL_WIDTH - 8}" y="${top + 20}" text-anchor="end">${label}</text>`);
    }
    for (const [x, column] of columns.entries()) {
      const value = find(row, column)?.[name];
      if (value === undefined) continue;
      const [fill, ink] = colourOf(most === least ? 0.5 : (value - least) / (most - least));
      const left = LABEL_WIDTH + x * CELL_WIDTH;
      parts.push(
        `<rect x="${left}" y="${top}" width="${CELL_WIDTH - 2}" height="${CELL_HEIGHT - 2}" fill="${fill}"/>` +
          `<text x="${left + CELL_WIDTH / 2 - 1}" y="${top + 19}" text-anchor="middle" fill="${ink}">${numberText(value)}</text>`,
      );
    }
  }
  const width = LABEL_WIDTH + columns.length * CELL_WIDTH;
  const height = 28 + rows.length * CELL_HEIGHT;
  const axes = `${down === undefined ? '' : `down: ${down.parameter}; `}across: ${across!.parameter}`;
  const recorded =
    name === 'differences' || name === 'unknown' ? '' : `; recorded: ${numberText(sweep.recorded[name])}`;
  const range = `from ${numberText(least)} to ${numberText(most)}${recorded}`;
  return `<figure>
<figcaption><strong>${escapeHtml(title)}</strong> ${escapeHtml(range)}. ${escapeHtml(axes)}</figcaption>
<div class="scroll"><svg role="img" aria-labelledby="t${at} d${at}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title id="t${at}">${escapeHtml(title)}</title><desc id="d${at}">${escapeHtml(`${range}. ${axes}. The table below holds every number.`)}</desc>
${parts.join('\n')}
</svg></div>
</figure>`;
}

function table(sweep: SweepResult): string {
  const { headings, recorded, rows } = sweepTable(sweep);
  const row = (settings: readonly string[], figures: readonly (number | null)[]) =>
    `<tr>${settings.map((one) => `<th scope="row">${escapeHtml(one)}</th>`).join('')}${figures.map((one) => `<td>${one === null ? '' : numberText(one)}</td>`).join('')}</tr>`;
  return `<div class="scroll"><table>
<caption>Every setting; the first row is what was recorded</caption>
<thead><tr>${headings.map((one) => `<th scope="col">${escapeHtml(one)}</th>`).join('')}</tr></thead>
<tbody>
${[recorded, ...rows].map(({ settings, figures }) => row(settings, figures)).join('\n')}
</tbody>
</table></div>`;
}

const STYLE = `:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px;padding:0 1rem}
figure{margin:1.5rem 0}figcaption{margin-bottom:.4rem}.scroll{overflow-x:auto}svg text{font:12px system-ui,sans-serif}
svg text:not([fill]){fill:currentColor}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;margin-bottom:.4rem}th,td{border:1px solid #8886;padding:.25rem .6rem;text-align:right}
li{max-width:70ch}`;

/** The page of a sweep. Everything that comes from a trail or a command line is escaped. */
export function sweepPage(sweep: SweepResult): string {
  const axes = sweep.axes.map(({ parameter }) => parameter).join(' and ');
  const fixed = Object.entries(sweep.fixed).map(([name, value]) => `${name} = ${textOf(value)}`);
  const about = `${sweep.rows.length} settings over ${sweep.from} to ${sweep.to}${fixed.length === 0 ? '' : `, with ${fixed.join(', ')}`}.`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Sweep of ${escapeHtml(axes)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Sweep of ${escapeHtml(axes)}</h1>
<p>${escapeHtml(about)}</p>
<ul>
<li>Each position is closed where its stop fires, at the recorded price. Neither fees nor the venue’s own prices are in it.</li>
<li>Fills that never happened are not invented: they are counted as not known.</li>
${sweep.notes.map((note) => `<li>${escapeHtml(note)}.</li>`).join('\n')}
</ul>
${FIGURES.filter(([name]) => sweep.rows.some((row) => row[name] !== sweep.rows[0]![name]) || name === 'result')
  .map(([name, title], at) => heatMap(sweep, name, title, at))
  .join('\n')}
<h2>Every setting</h2>
${table(sweep)}
</main>
</body>
</html>
`;
}
