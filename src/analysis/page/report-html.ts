/** Sections of reports as tables. */
import type { ReportSection } from '../report/types.ts';
import { cellText } from '../text-table.ts';
import { number, numberText, percentText, table } from './format.ts';
import { cut, type Html, type HtmlValue, html } from './html.ts';

const MAX_REPORT_ROWS = 500;

export const MAX_TEXT = 400;

export function moreHtml(count: number, what: string, command: string): HtmlValue {
  return count <= 0 ? null : html`<p class="note">and ${numberText(count)} more ${what}: <code>${command}</code></p>`;
}

function metricsHtml({ name, title, metrics }: ReportSection): Html {
  const rows = Object.entries(metrics!).map(([key, metric]) => ({ key, metric }));
  return table(
    `metrics:${name}`,
    title,
    [
      { title: 'Figure', cell: ({ key }) => key.replaceAll('_', ' ') },
      {
        title: 'Value',
        numeric: true,
        cell: ({ metric: { value, unit } }) =>
          unit === '1'
            ? number(value, percentText)
            : html`${number(value)}${value === null || unit === undefined ? null : ` ${unit}`}`,
      },
      { title: 'n', numeric: true, cell: ({ metric: { n } }) => number(n) },
      {
        title: 'What it is',
        cell: ({ metric }) =>
          metric.undefinedBecause === undefined
            ? metric.convention
            : `${metric.convention}; undefined, because ${metric.undefinedBecause}`,
      },
    ],
    rows,
    'none',
  );
}

function rowsHtml({ name, title, columns, rows }: ReportSection): HtmlValue {
  const numeric = columns!.map(
    (_, at) => rows!.length > 0 && rows!.every((row) => row[at] === null || typeof row[at] === 'number'),
  );
  return [
    table(
      `rows:${name}`,
      title,
      columns!.map((column, at) => ({
        title: column.replaceAll('_', ' '),
        numeric: numeric[at]!,
        cell: (row: NonNullable<ReportSection['rows']>[number]) => {
          const value = row[at];
          return typeof value === 'number'
            ? number(value)
            : value === null || value === undefined
              ? number(null)
              : cut(cellText(value), MAX_TEXT);
        },
      })),
      rows!.slice(0, MAX_REPORT_ROWS),
      `${title}: none.`,
    ),
    moreHtml(rows!.length - MAX_REPORT_ROWS, 'rows', 'risktrail report --csv'),
  ];
}

export const sectionHtml = (section: ReportSection): HtmlValue =>
  section.metrics === undefined ? rowsHtml(section) : metricsHtml(section);
