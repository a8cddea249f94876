/** Panels: every one has a title, a description, a unit where it shows numbers, and words for when there is nothing. */
import { PanelBuilder as BarGaugePanel } from '@grafana/grafana-foundation-sdk/bargauge';
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  LineInterpolation,
  LogsSortOrder,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardLinkBuilder,
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  PanelBuilder,
  type ThresholdsConfigBuilder,
  type ValueMapping,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as LogsPanel } from '@grafana/grafana-foundation-sdk/logs';
import { DataqueryBuilder, LokiQueryDirection, QueryEditorMode } from '@grafana/grafana-foundation-sdk/loki';
import { PanelBuilder as StatPanel } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimelinePanel } from '@grafana/grafana-foundation-sdk/statetimeline';
import { PanelBuilder as TablePanel } from '@grafana/grafana-foundation-sdk/table';
import { DataqueryBuilder as TempoQuery } from '@grafana/grafana-foundation-sdk/tempo';
import { PanelBuilder as TrendPanel } from '@grafana/grafana-foundation-sdk/timeseries';
import { linkTo } from './links.ts';
import { type Label, labelOf } from './logql.ts';
import { COLOURS, PLAIN } from './look.ts';

export const LOKI = { type: 'loki', uid: 'loki' } as const;
export const TEMPO = { type: 'tempo', uid: 'tempo' } as const;

/** A query and what its series are called. */
export interface Series {
  readonly query: string;
  /** With `{{label}}` for a label's value. */
  readonly name?: string;
}

/** A link of a value to where more is said of it. */
export interface Link {
  readonly title: string;
  readonly url: string;
}

/** What every panel tells. */
export interface Told {
  readonly title: string;
  readonly description: string;
  /** What it means when there is nothing. */
  readonly empty: string;
  /** Of 24 columns. */
  readonly width: number;
  readonly height?: number;
  readonly links?: readonly Link[];
}

/** A panel of numbers. */
export interface Numbers extends Told {
  readonly series: readonly Series[];
  /** As Grafana names units. */
  readonly unit: string;
  readonly decimals?: number;
  readonly thresholds?: ThresholdsConfigBuilder;
  readonly mappings?: readonly ValueMapping[];
  /** A range of its own, such as `now/d`. */
  readonly only?: string;
  /** A panel for each value of that variable. */
  readonly repeat?: string;
}

const HEIGHT = 8;
/** No finer than that: a quicker look costs Loki more than it shows. */
const FINEST = '15s';

/** Any panel's builder that has these methods of the generic one. */
type With<K extends keyof PanelBuilder> = {
  [N in K]: PanelBuilder[N] extends (...args: infer A) => unknown ? (...args: A) => unknown : never;
};
type Common = With<'title' | 'description' | 'span' | 'height' | 'noValue' | 'dataLinks' | 'datasource'>;

function tell<P extends Common>(panel: P, { title, description, empty, width, height = HEIGHT, links = [] }: Told): P {
  panel.title(title);
  panel.description(description);
  panel.span(width);
  panel.height(height);
  panel.noValue(empty);
  panel.dataLinks(links.map(({ title: text, url }) => new DashboardLinkBuilder(text).url(url)));
  return panel;
}

type NumberPanel = Common &
  With<'withTarget' | 'decimals' | 'mappings' | 'timeFrom' | 'interval' | 'unit' | 'thresholds'> &
  With<'repeat' | 'repeatDirection' | 'maxPerRow'>;

function fill<P extends NumberPanel>(panel: P, numbers: Numbers, instant: boolean): P {
  tell(panel, numbers);
  panel.datasource(LOKI);
  panel.interval(FINEST);
  panel.unit(numbers.unit);
  panel.thresholds(numbers.thresholds ?? PLAIN);
  if (numbers.decimals !== undefined) panel.decimals(numbers.decimals);
  if (numbers.mappings !== undefined) panel.mappings([...numbers.mappings]);
  if (numbers.only !== undefined) panel.timeFrom(numbers.only);
  if (numbers.repeat !== undefined) {
    panel.repeat(numbers.repeat);
    panel.repeatDirection('h');
    panel.maxPerRow(4);
  }
  for (const [index, series] of numbers.series.entries()) panel.withTarget(target(series, index, instant));
  return panel;
}

function target({ query, name = '' }: Series, index: number, instant: boolean): Builder<Dataquery> {
  const made = new DataqueryBuilder()
    .refId(String.fromCharCode('A'.charCodeAt(0) + index))
    .datasource(LOKI)
    .editorMode(QueryEditorMode.Code)
    .expr(query)
    .queryType(instant ? 'instant' : 'range');
  return name === '' ? made : made.legendFormat(name);
}

const newestValue = () => new ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false);
const byThresholds = () => new FieldColorBuilder().mode(FieldColorModeId.Thresholds);

/** Big figures, one for each series. */
export function stat(numbers: Numbers): Builder<Panel> {
  return fill(new StatPanel(), numbers, true)
    .reduceOptions(newestValue())
    .colorScheme(byThresholds())
    .colorMode(BigValueColorMode.Background)
    .graphMode(BigValueGraphMode.None)
    .textMode(
      numbers.series.some(({ name }) => name !== undefined) ? BigValueTextMode.ValueAndName : BigValueTextMode.Value,
    );
}

/** Bars beside each other, one for each series. */
export function gauges(numbers: Numbers & { readonly max?: number }): Builder<Panel> {
  const panel = fill(new BarGaugePanel(), numbers, true)
    .reduceOptions(newestValue())
    .colorScheme(byThresholds())
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic)
    .min(0);
  return numbers.max === undefined ? panel : panel.max(numbers.max);
}

/** States over time, one row for each series. */
export function timeline(numbers: Numbers): Builder<Panel> {
  return (
    fill(new TimelinePanel(), numbers, false)
      .colorScheme(byThresholds())
      .mergeValues(true)
      .showValue(VisibilityMode.Auto)
      .fillOpacity(80)
      // A state holds until the next is told.
      .spanNulls(true)
      .legend(
        new VizLegendOptionsBuilder()
          .showLegend(false)
          .displayMode(LegendDisplayMode.List)
          .placement(LegendPlacement.Bottom)
          .calcs([]),
      )
      .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Single).sort(SortOrder.None))
  );
}

/** How a chart is drawn. */
export interface Drawn extends Numbers {
  /** Lines between values; steps where a value holds until the next; bars of counts. @default 'line' */
  readonly as?: 'line' | 'steps' | 'bars';
  /** Thresholds are drawn as areas behind. */
  readonly lines?: boolean;
  /** Series that are limits: red and dashed. */
  readonly limits?: readonly string[];
  readonly max?: number;
  /** The vertical axis need not begin at 0. */
  readonly free?: boolean;
}

/** Numbers over time. */
export function chart(drawn: Drawn): Builder<Panel> {
  const { as = 'line', lines = false, limits = [], max, free = false } = drawn;
  const panel = fill(new TrendPanel(), drawn, false)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassicByName))
    .drawStyle(as === 'bars' ? GraphDrawStyle.Bars : GraphDrawStyle.Line)
    .lineInterpolation(as === 'steps' ? LineInterpolation.StepAfter : LineInterpolation.Linear)
    .fillOpacity(as === 'bars' ? 80 : 0)
    .lineWidth(as === 'bars' ? 0 : 1)
    .showPoints(as === 'line' ? VisibilityMode.Auto : VisibilityMode.Never)
    .spanNulls(as === 'steps')
    .thresholdsStyle(
      new GraphThresholdsStyleConfigBuilder().mode(
        lines ? GraphThresholdsStyleMode.LineAndArea : GraphThresholdsStyleMode.Off,
      ),
    )
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .calcs([]),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (as === 'bars') panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (!free) panel.min(0);
  if (max !== undefined) panel.max(max);
  for (const name of limits) {
    panel.overrideByRegexp(name, [
      { id: 'color', value: { mode: 'fixed', fixedColor: COLOURS.bad } },
      { id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 6] } },
    ]);
  }
  return panel;
}

/** Records as lines, each with its trace one click away. */
export function lines(told: Told & { readonly query: string; readonly oldestFirst?: boolean }): Builder<Panel> {
  const { query, oldestFirst = false } = told;
  return tell(new LogsPanel(), told)
    .datasource(LOKI)
    .withTarget(logQuery(query, oldestFirst))
    .showTime(true)
    .wrapLogMessage(true)
    .enableLogDetails(true)
    .showLabels(false)
    .showCommonLabels(false)
    .prettifyLogMessage(false)
    .sortOrder(oldestFirst ? LogsSortOrder.Ascending : LogsSortOrder.Descending);
}

function logQuery(query: string, oldestFirst: boolean): Builder<Dataquery> {
  return new DataqueryBuilder()
    .refId('A')
    .datasource(LOKI)
    .editorMode(QueryEditorMode.Code)
    .expr(query)
    .queryType('range')
    .maxLines(500)
    .direction(oldestFirst ? LokiQueryDirection.Forward : LokiQueryDirection.Backward);
}

/** A column of a table of records: the attribute, its heading, and the variable of the incident that a click sets. */
export type Column = readonly [attribute: Label, heading: string, variable?: 'id' | 'trace'];

/** A trace id finds its records, too; of another id the row tells the trace. */
const INCIDENT_VARIABLES = {
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: Grafana fills it in.
  id: ['var-id=${__value.raw}', 'var-trace=${__data.fields.Trace}'],
  trace: ['var-id=${__value.raw}', 'var-trace=${__value.raw}'],
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: Grafana fills it in.
} as const;

/** Records as a table. */
export function table(told: Told & { readonly query: string; readonly columns: readonly Column[] }): Builder<Panel> {
  const { query } = told;
  const columns = told.columns.map(
    ([attribute, heading, variable]) => [labelOf(attribute), heading, variable] as const,
  );
  const panel = tell(new TablePanel(), told)
    .datasource(LOKI)
    .unit('none')
    .filterable(true)
    .withTarget(logQuery(query, false))
    .transformations([
      { id: 'extractFields', options: { source: 'labels', format: 'json', replace: true, keepTime: true } },
      {
        id: 'organize',
        options: {
          includeByName: Object.fromEntries([['Time', true], ...columns.map(([label]) => [label, true])]),
          indexByName: Object.fromEntries([['Time', 0], ...columns.map(([label], index) => [label, index + 1])]),
          renameByName: Object.fromEntries(columns.map(([label, heading]) => [label, heading])),
        },
      },
    ]);
  for (const [, heading, variable] of columns) {
    if (variable === undefined) continue;
    const url = linkTo('incident', ...INCIDENT_VARIABLES[variable]);
    panel.overrideByName(heading, [{ id: 'links', value: [{ title: 'Show it', url, targetBlank: false }] }]);
  }
  return panel;
}

/** What stands of the alert rules. */
export function alerts(told: Told): Builder<Panel> {
  return tell(new PanelBuilder(), told)
    .type('alertlist')
    .datasource(LOKI)
    .options({
      alertInstanceLabelFilter: '',
      alertName: '',
      dashboardAlerts: false,
      folder: { title: 'risktrail', uid: 'risktrail' },
      groupBy: [],
      groupMode: 'default',
      maxItems: 20,
      sortOrder: 3,
      stateFilter: { error: true, firing: true, noData: false, normal: false, pending: true },
      viewMode: 'list',
    });
}

/** One trace, whole. @param id a trace id */
export function trace(told: Told & { readonly id: string }): Builder<Panel> {
  return tell(new PanelBuilder(), told)
    .type('traces')
    .datasource(TEMPO)
    .withTarget(new TempoQuery().refId('A').datasource(TEMPO).queryType('traceql').query(told.id));
}

/** Traces that TraceQL finds. */
export function traces(told: Told & { readonly query: string }): Builder<Panel> {
  return tell(new TablePanel(), told)
    .datasource(TEMPO)
    .unit('none')
    .withTarget(
      new TempoQuery().refId('A').datasource(TEMPO).queryType('traceql').query(told.query).limit(20).filters([]),
    );
}
