/** What the dashboards have in common: variables, annotations, links to each other, and how they are told apart. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  type Panel,
  QueryVariableBuilder,
  TextBoxVariableBuilder,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { isIn, records, type Scope, type Selection } from './logql.ts';
import { COLOURS } from './look.ts';
import { LOKI } from './panels.ts';

export const TAG = 'risktrail';

const HINTS: Readonly<Record<Scope, string>> = {
  account: 'Account, as a regular expression; .* shows all, also records that name no account.',
  strategy: 'Strategy, as a regular expression; .* shows all, also records that name no strategy.',
  breaker: 'Circuit breaker, as a regular expression.',
  symbol: 'Symbol, as a regular expression: SPX, or BTC/.* for several.',
};

function serviceVariable(): Builder<VariableModel> {
  return new QueryVariableBuilder('service')
    .label('Service')
    .description('Services that send to this Collector.')
    .datasource(LOKI)
    .query({ label: 'service_name', refId: 'service', stream: '', type: 1 })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.+')
    .current({ text: 'All', value: '$__all' });
}

/** A text to be typed: Loki lists no values of structured metadata. */
export function textVariable(name: string, label: string, hint: string, start: string): Builder<VariableModel> {
  return new TextBoxVariableBuilder(name)
    .label(label)
    .description(hint)
    .defaultValue(start)
    .current({ text: start, value: start });
}

function annotation(name: string, colour: string, selection: Selection, title: string): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name(name)
    .datasource(LOKI)
    .enable(true)
    .iconColor(colour)
    .expr(records(selection))
    .titleFormat(title)
    .tagKeys('service_name');
}

/** What stopped trading, on every time axis. */
const ANNOTATIONS: readonly AnnotationQueryBuilder[] = [
  annotation(
    'Halts',
    COLOURS.bad,
    { events: ['risk.trading_state_change'], where: [isIn('risk.trading_state.new', 'HALTED', 'REDUCING')] },
    'Trading {{risk_trading_state_old}} → {{risk_trading_state_new}} for {{risk_scope}}',
  ),
  annotation(
    'Trips',
    COLOURS.warning,
    {
      events: ['risk.circuit_breaker.state_change'],
      where: [isIn('risk.circuit_breaker.state.new', 'OPEN', 'FORCED_OPEN')],
    },
    'Breaker {{risk_circuit_breaker_name}} {{risk_circuit_breaker_state_old}} → {{risk_circuit_breaker_state_new}}',
  ),
];

/** A dashboard as it is written down. */
export interface Described {
  /** Of its file and its uid. */
  readonly slug: string;
  readonly title: string;
  readonly description: string;
  readonly scopes: readonly Scope[];
  readonly variables?: readonly Builder<VariableModel>[];
  /** What it shows when it is opened. */
  readonly from: string;
  readonly refresh: string;
  readonly panels: readonly Builder<Panel>[];
}

/** A dashboard as Grafana reads it. */
export function build({
  slug,
  title,
  description,
  scopes,
  variables = [],
  from,
  refresh,
  panels,
}: Described): Dashboard {
  const made = new DashboardBuilder(title)
    .uid(`risktrail-${slug}`)
    .description(description)
    .tags([TAG])
    .readonly()
    .timezone('browser')
    .time({ from, to: 'now' })
    .refresh(refresh)
    .tooltip(DashboardCursorSync.Crosshair)
    .link(
      new DashboardLinkBuilder('risktrail')
        .type(DashboardLinkType.Dashboards)
        .icon('dashboard')
        .tooltip('The other dashboards, at the same time and of the same service')
        .tags([TAG])
        .asDropdown(false)
        .includeVars(true)
        .keepTime(true)
        .targetBlank(false),
    )
    .withVariable(serviceVariable());
  for (const scope of scopes) {
    made.withVariable(textVariable(scope, `${scope[0]!.toUpperCase()}${scope.slice(1)}`, HINTS[scope], '.*'));
  }
  for (const variable of variables) made.withVariable(variable);
  for (const one of ANNOTATIONS) made.annotation(one);
  for (const [index, panel] of panels.entries()) {
    const id = index + 1;
    made.withPanel({
      build: () => {
        const own = panel.build();
        own.id = id;
        return own;
      },
    });
  }
  const built = made.build();
  // The builder would hide them in a menu.
  for (const link of built.links ?? []) delete link.placement;
  for (const one of built.annotations.list ?? []) delete one.placement;
  return built;
}
