/** The page of the dashboards' panels: what each answers, of which time, and which variables narrow it down. */

/** What the page takes from a dashboard, in Grafana's classic form. */
export interface PageDashboard {
  readonly title?: string;
  readonly description?: string;
  readonly templating?: {
    readonly list?: readonly {
      readonly name: string;
      readonly label?: string | null;
      readonly description?: string | null;
    }[];
  };
  readonly panels?: readonly object[];
}

interface PagePanel {
  readonly type: string;
  readonly title?: string;
  readonly description?: string;
  readonly timeFrom?: string;
  readonly targets?: readonly { readonly expr?: string; readonly query?: string; readonly queryType?: string }[];
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const queriesOf = ({ targets = [] }: PagePanel): readonly string[] =>
  targets.map(({ expr, query }) => expr ?? query ?? '');

/** Of which time a panel tells. */
function timeOf(panel: PagePanel): string {
  const { timeFrom, targets = [], type } = panel;
  const queries = queriesOf(panel);
  if (timeFrom === 'now/d') return 'today';
  if (timeFrom !== undefined) return `the last ${timeFrom}`;
  if (queries.length === 0) return 'now';
  if (queries.every((query) => query.includes('[24h]'))) return 'now, of the last 24 h';
  if (type === 'logs' || type === 'table') return 'the newest 500 of the time shown';
  return targets.some(({ queryType }) => queryType === 'range') ? 'each step of the time shown' : 'the time shown';
}

/** The variables of a dashboard that a panel's queries name. */
function narrowedBy(panel: PagePanel, names: readonly string[]): string {
  const text = queriesOf(panel).join(' ');
  const found = names.filter((name) => text.includes(`$${name}`) || text.includes(`\${${name}`));
  return found.length === 0 ? '–' : found.join(', ');
}

function section({ title, description, templating, panels = [] }: PageDashboard): string {
  const variables = templating?.list ?? [];
  const names = variables.map(({ name }) => name);
  const shown = (panels as readonly PagePanel[]).filter(({ type }) => type !== 'row');
  return `## ${title}

${description}

${variables.map(({ name, label, description: hint }) => `- **${label ?? name}** (\`${name}\`): ${hint ?? ''}`).join('\n')}

| panel | what it answers | of | narrowed by |
| --- | --- | --- | --- |
${shown.map((panel) => `| ${cell(panel.title ?? '')} | ${cell(panel.description ?? '')} | ${timeOf(panel)} | ${narrowedBy(panel, names)} |`).join('\n')}
`;
}

/** `docs/panels.md`. */
export function panelsPage(dashboards: Iterable<PageDashboard>): string {
  return `<!-- Written by scripts/generate-dashboards.ts from grafana/src: change it there. -->
# Panels

Every panel of the [dashboards](dashboards.md): what it answers, of which time, and which variables narrow it down.

${[...dashboards].map(section).join('\n')}`;
}
