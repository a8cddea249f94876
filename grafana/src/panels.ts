/** Panels: every one has a title, a description, a unit where it shows numbers, and words for when there is nothing. */
import { PanelBuilder as BarGaugePanel } from '@grafana/grafana-foundation-sdk/bargauge';
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import {
  BarGaugeDisplayMode,
  BarGaugeNamePlacement,
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
  TimelineValueAlignment,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTextDisplayOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardLinkBuilder,
  type DynamicConfigValue,
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
import { COLOURS, type Colour, KINDS, type Kind, kindMappings, PLAIN, whenEmpty } from './look.ts';

export const LOKI = { type: 'loki', uid: 'loki' } as const;
export const TEMPO = { type: 'tempo', uid: 'tempo' } as const;

/** A query and what its series are called. */
export interface Series {
  readonly query: string;
  /** With `{{label}}` for a label's value. */
  readonly name?: string;
  /** Kinds of events that `{{event_name}}` of the name may be: said in words, in the colours of their meaning. */
  readonly kinds?: readonly Kind[];
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
  readonly thresholds?: ThresholdsConfigBuilder;
  readonly mappings?: readonly ValueMapping[];
  /** What nothing means: of a figure the colour that it then has. @default 'unknown' */
  readonly nothing?: Colour;
  /** Figures that are good or bad by their names. */
  readonly rows?: readonly (readonly [name: string, colour: Colour])[];
  /** A range of its own, such as `now/d`. */
  readonly only?: string;
  /** A panel for each value of that variable. */
  readonly repeat?: string;
}

const KIND = '{{event_name}}';
const HEIGHT = 8;
/** No finer than that: a quicker look costs Loki more than it shows. */
const FINEST = '15s';
const MOST_ROWS = 40;
const FEW = 4;
/** Pixels: a single bar would otherwise have letters as high as itself. */
const BAR_TEXT = { title: 14, value: 20 };
const TIME_WIDTH = 165;

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
  With<'withTarget' | 'mappings' | 'timeFrom' | 'interval' | 'unit' | 'thresholds'> &
  With<'overrideByRegexp' | 'overrideByName' | 'overrideByFieldType' | 'overrideByQuery'> &
  With<'repeat' | 'repeatDirection' | 'maxPerRow'>;

function fill<P extends NumberPanel>(panel: P, numbers: Numbers, instant: boolean): P {
  tell(panel, numbers);
  panel.datasource(LOKI);
  panel.interval(FINEST);
  panel.unit(numbers.unit);
  panel.thresholds(numbers.thresholds ?? PLAIN);
  if (numbers.mappings !== undefined) panel.mappings([...numbers.mappings]);
  if (numbers.only !== undefined) panel.timeFrom(numbers.only);
  if (numbers.repeat !== undefined) {
    panel.repeat(numbers.repeat);
    panel.repeatDirection('h');
    panel.maxPerRow(4);
  }
  for (const [index, series] of numbers.series.entries()) panel.withTarget(target(series, index, instant));
  for (const { kinds = [], name = '' } of numbers.series) {
    if (instant) namedRows(panel, kinds, name);
    else for (const kind of kinds) panel.overrideByRegexp(...inWords(kind, name));
  }
  return panel;
}

/** Which lines or bars are about a kind of events, and how they are shown. */
function inWords(kind: Kind, name: string): [pattern: string, properties: DynamicConfigValue[]] {
  const [words, colour] = KINDS[kind];
  const displayName = name
    .replace(KIND, words)
    .replaceAll(/\{\{(\w+)\}\}/g, (_, label) => `\${__field.labels.${label}}`);
  return [
    `/(^| )${kind.replaceAll('.', '\\.')}($|[ :])/`,
    [
      { id: 'displayName', value: displayName },
      { id: 'color', value: { mode: 'fixed', fixedColor: COLOURS[colour] } },
    ],
  ];
}

/**
 * Figures come as rows of a table, a column for each label, and are named by what stands in their row. A label that a row
 * lacks must not be said in the words for an empty panel, nor a name be read as a date; kinds of events are said in their own.
 */
function namedRows(panel: NumberPanel, kinds: readonly Kind[], name: string): void {
  panel.overrideByFieldType('string', [
    { id: 'noValue', value: '' },
    { id: 'unit', value: 'string' },
  ]);
  if (kinds.length === 0) return;
  panel.overrideByName('event_name', [{ id: 'mappings', value: kindMappings(kinds) }]);
  // A row's colour is looked up by its name.
  if (name !== KIND) return;
  for (const kind of kinds) {
    const [words, colour] = KINDS[kind];
    panel.overrideByName(words, [{ id: 'color', value: { mode: 'fixed', fixedColor: COLOURS[colour] } }]);
  }
}

/** The rows of each query, with the words of its name: `{{service_name}} lost`. The name says every label of the query. */
function namedQueries(panel: NumberPanel, series: readonly Series[]): void {
  for (const [index, { name = '' }] of series.entries()) {
    // The columns after the time are the labels in the order of the alphabet.
    const labels = [...name.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!).sort();
    const value = name.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => `\${__cell_${labels.indexOf(label) + 1}}`);
    panel.overrideByQuery(refIdOf(index), [{ id: 'displayName', value }]);
  }
}

const refIdOf = (index: number): string => String.fromCharCode('A'.charCodeAt(0) + index);

function target({ query, name = '' }: Series, index: number, instant: boolean): Builder<Dataquery> {
  const made = new DataqueryBuilder()
    .refId(refIdOf(index))
    .datasource(LOKI)
    .editorMode(QueryEditorMode.Code)
    .expr(query)
    .queryType(instant ? 'instant' : 'range');
  return name === '' ? made : made.legendFormat(name);
}

/** Every row of what a query finds; the newest alone would hide all series but one. */
const everyRow = () => new ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(true).limit(MOST_ROWS);
const byThresholds = () => new FieldColorBuilder().mode(FieldColorModeId.Thresholds);

/** @param named whether a row by itself must be told its name */
function figures<P extends NumberPanel>(panel: P, numbers: Numbers, named = false): P {
  const { mappings = [], nothing = 'unknown', series } = numbers;
  fill(panel, { ...numbers, mappings: [...mappings, whenEmpty(nothing)] }, true);
  if (named || series.length > 1) namedQueries(panel, series);
  for (const [name, colour] of numbers.rows ?? []) {
    panel.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor: COLOURS[colour] } }]);
  }
  return panel;
}

/** Big figures, one for each series. */
export function stat(numbers: Numbers): Builder<Panel> {
  return figures(new StatPanel(), numbers)
    .reduceOptions(everyRow())
    .colorScheme(byThresholds())
    .colorMode(BigValueColorMode.Background)
    .graphMode(BigValueGraphMode.None)
    .textMode(
      numbers.series.some(({ name }) => name !== undefined) ? BigValueTextMode.ValueAndName : BigValueTextMode.Value,
    );
}

/** Bars beside each other, one for each series. */
export function gauges(numbers: Numbers & { readonly max?: number }): Builder<Panel> {
  const panel = figures(new BarGaugePanel(), numbers, true)
    .reduceOptions(everyRow())
    .colorScheme(byThresholds())
    .orientation(VizOrientation.Horizontal)
    .namePlacement(BarGaugeNamePlacement.Top)
    .text(new VizTextDisplayOptionsBuilder().titleSize(BAR_TEXT.title).valueSize(BAR_TEXT.value))
    .displayMode(BarGaugeDisplayMode.Basic)
    .min(0);
  return numbers.max === undefined ? panel : panel.max(numbers.max);
}

/** States over time, one row for each series. */
export function timeline(numbers: Numbers): Builder<Panel> {
  return (
    fill(new TimelinePanel(), numbers, false)
      // States have words and colours; by thresholds it would say numbers instead.
      .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(COLOURS.unknown))
      .mergeValues(true)
      .showValue(VisibilityMode.Auto)
      .alignValue(TimelineValueAlignment.Center)
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
  /** Lines between values, with gaps or without; steps where a value holds until the next; bars of counts. @default 'line' */
  readonly as?: 'line' | 'joined' | 'steps' | 'bars';
  /** There are too many to list them. */
  readonly unlisted?: boolean;
  /** Thresholds are drawn as areas behind. */
  readonly lines?: boolean;
  /** Series that are limits: red and dashed. */
  readonly limits?: readonly string[];
  /** Series whose names match, in a colour of their own. */
  readonly tones?: readonly (readonly [pattern: string, colour: Colour])[];
  readonly max?: number;
  /** The vertical axis need not begin at 0. */
  readonly free?: boolean;
}

/** Numbers over time. */
export function chart(drawn: Drawn): Builder<Panel> {
  const { as = 'line', lines = false, limits = [], tones = [], unlisted = false, max, free = false } = drawn;
  const panel = fill(new TrendPanel(), drawn, false)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Shades).fixedColor(COLOURS.plain))
    .drawStyle(as === 'bars' ? GraphDrawStyle.Bars : GraphDrawStyle.Line)
    .lineInterpolation(as === 'steps' ? LineInterpolation.StepAfter : LineInterpolation.Linear)
    .fillOpacity(as === 'bars' ? 80 : 0)
    .lineWidth(as === 'bars' ? 0 : 1)
    .showPoints(as === 'line' ? VisibilityMode.Auto : VisibilityMode.Never)
    .spanNulls(as === 'steps' || as === 'joined')
    .thresholdsStyle(
      new GraphThresholdsStyleConfigBuilder().mode(
        lines ? GraphThresholdsStyleMode.LineAndArea : GraphThresholdsStyleMode.Off,
      ),
    )
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(!unlisted)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .calcs([]),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (as === 'bars') panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (!free) panel.min(0);
  // Of few counts no axis with halves.
  if (as === 'bars' && !free) panel.axisSoftMax(FEW);
  if (max !== undefined) panel.max(max);
  for (const [name, colour] of tones) {
    panel.overrideByRegexp(name, [{ id: 'color', value: { mode: 'fixed', fixedColor: COLOURS[colour] } }]);
  }
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

/** A column of a table of records. */
export interface Column {
  readonly attribute: Label;
  readonly heading: string;
  /** The variable of the incident that a click sets. */
  readonly sets?: 'id' | 'trace';
  /** In pixels; without, it shares what the others leave. */
  readonly width?: number;
  /** Of a number, as Grafana names units; without, it is a text. */
  readonly unit?: string;
  /** Words for values, and colours for words. */
  readonly mappings?: readonly ValueMapping[];
}

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
  const columns = told.columns.map((column) => ({ ...column, label: labelOf(column.attribute) }));
  const numbers = columns.filter(({ unit }) => unit !== undefined);
  const panel = tell(new TablePanel(), told)
    .datasource(LOKI)
    .unit('none')
    .filterable(true)
    .withTarget(logQuery(query, false))
    .transformations([
      { id: 'extractFields', options: { source: 'labels', format: 'json', replace: false } },
      { id: 'filterFieldsByName', options: { include: { names: ['Time', ...columns.map(({ label }) => label)] } } },
      // Records of several streams come stream by stream.
      { id: 'sortBy', options: { fields: {}, sort: [{ field: 'Time', desc: true }] } },
      {
        id: 'organize',
        options: {
          indexByName: Object.fromEntries([['Time', 0], ...columns.map(({ label }, index) => [label, index + 1])]),
          renameByName: Object.fromEntries(columns.map(({ label, heading }) => [label, heading])),
        },
      },
      ...(numbers.length === 0
        ? []
        : [
            {
              id: 'convertFieldType',
              options: {
                fields: {},
                conversions: numbers.map(({ heading }) => ({ targetField: heading, destinationType: 'number' })),
              },
            },
          ]),
    ])
    .overrideByName('Time', [{ id: 'custom.width', value: TIME_WIDTH }])
    // What a record lacks.
    .overrideByFieldType('string', [{ id: 'noValue', value: '–' }]);
  for (const { heading, sets, width, unit, mappings } of columns) {
    const properties: DynamicConfigValue[] = [];
    if (width !== undefined) properties.push({ id: 'custom.width', value: width });
    if (unit !== undefined) properties.push({ id: 'unit', value: unit });
    if (mappings !== undefined) {
      properties.push({ id: 'mappings', value: mappings }, { id: 'custom.cellOptions', value: { type: 'color-text' } });
    }
    if (sets !== undefined) {
      const url = linkTo('incident', ...INCIDENT_VARIABLES[sets]);
      properties.push({ id: 'links', value: [{ title: 'Show it', url, targetBlank: false }] });
    }
    if (properties.length > 0) panel.overrideByName(heading, properties);
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
