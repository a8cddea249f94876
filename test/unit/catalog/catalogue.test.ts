import { describe, expect, it } from 'vitest';
import { ATTRIBUTES, COMMON_ATTRIBUTES } from '../../../src/catalog/attributes.ts';
import {
  type AttributeDefinition,
  CATEGORIES,
  type EventDefinition,
  SEVERITY_NUMBERS,
} from '../../../src/catalog/define.ts';
import { EVENTS } from '../../../src/catalog/events.ts';

const events = Object.entries<EventDefinition>(EVENTS);
const attributes: Readonly<Record<string, AttributeDefinition>> = ATTRIBUTES;
const common: readonly string[] = COMMON_ATTRIBUTES;
const NAME = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/;

/** What the design of the catalogue asks for at least, by family. */
const ASKED_FOR: Readonly<Record<string, readonly string[]>> = {
  'risk.circuit_breaker': [
    'state_change',
    'failure',
    'success',
    'late_result',
    'not_permitted',
    'manual_trip',
    'manual_reset',
    'config_changed',
    'restored',
    'snapshot',
  ],
  'risk.trailing_stop': [
    'add',
    'activate',
    'peak',
    'update',
    'trigger',
    'partial_close',
    'side_flip',
    'remove',
    'invalid_input',
    'restored',
    'snapshot',
  ],
  'risk.portfolio_limit': ['check', 'rejection', 'warning', 'snapshot'],
  risk: [
    'trading_state_change',
    'kill_switch',
    'validation',
    'rejection',
    'portfolio_health',
    'position_size_calculated',
    'position_size_capped',
    'limit_hit',
    'daily_loss_limit',
    'portfolio_heat_warning',
  ],
  enforcement: ['breach', 'action'],
  order: ['intent', 'placed', 'edited', 'filled', 'rejected', 'cancelled', 'outcome_unknown'],
  trade: [
    'entry',
    'exit',
    'partial_exit',
    'stop_loss_hit',
    'take_profit_hit',
    'cancelled',
    'executed',
    'execution_failed',
  ],
  position: ['adjusted', 'query'],
  account: ['balance_query'],
  config: ['leverage_set', 'margin_type_set', 'limits_changed'],
  market: ['price', 'candle_closed'],
  strategy: ['signal', 'no_signal', 'entry_signal', 'exit_signal', 'symbol_scan', 'signal_processed'],
  api: ['call', 'error', 'rate_limit', 'retry_attempt', 'access'],
  system: ['start', 'stop', 'error', 'health_check', 'market_status'],
  performance: ['metric', 'latency'],
  alert: ['raised', 'acknowledged', 'resolved', 'dismissed'],
  audit: [
    'stream_opened',
    'stream_closed',
    'checkpoint',
    'recovered',
    'segment_sealed',
    'segment_pruned',
    'degraded',
    'record_rejected',
    'finding',
    'health',
  ],
};

/** Event types of systems that this one must do at least as much as, and what stands for each here. */
const KNOWN_ELSEWHERE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'seed 000': {
    circuit_breaker_state_change: 'risk.circuit_breaker.state_change',
    circuit_breaker_failure: 'risk.circuit_breaker.failure',
    circuit_breaker_success: 'risk.circuit_breaker.success',
    circuit_breaker_manual_reset: 'risk.circuit_breaker.manual_reset',
    trailing_stop_add: 'risk.trailing_stop.add',
    trailing_stop_activate: 'risk.trailing_stop.activate',
    trailing_stop_update: 'risk.trailing_stop.update',
    trailing_stop_trigger: 'risk.trailing_stop.trigger',
    trailing_stop_remove: 'risk.trailing_stop.remove',
    portfolio_limit_check: 'risk.portfolio_limit.check',
    portfolio_limit_rejection: 'risk.portfolio_limit.rejection',
    portfolio_limit_warning: 'risk.portfolio_limit.warning',
  },
  'seed 001': {
    'circuit breaker: every state transition': 'risk.circuit_breaker.state_change',
    'circuit breaker: record_failure()': 'risk.circuit_breaker.failure',
    'circuit breaker: record_success() when half-open': 'risk.circuit_breaker.success',
    'trailing stop: peak tracking': 'risk.trailing_stop.peak',
    'portfolio: check_entry_allowed()': 'risk.portfolio_limit.check',
    'portfolio: check_portfolio_health()': 'risk.portfolio_health',
    'alert ACTIVE': 'alert.raised',
    'alert ACKNOWLEDGED': 'alert.acknowledged',
    'alert RESOLVED': 'alert.resolved',
    'alert DISMISSED': 'alert.dismissed',
    'state recovery after a restart': 'risk.circuit_breaker.restored',
  },
  'seed 002': {
    'daemon started': 'system.start',
    'rule breach': 'enforcement.breach',
    'enforcement action': 'enforcement.action',
    'API call': 'api.call',
    'operation failed': 'system.error',
    'operation past its threshold': 'performance.latency',
  },
  'seed 003': {
    ORDER_PLACED: 'order.placed',
    ORDER_REJECTED: 'order.rejected',
    ORDER_CANCELLED: 'order.cancelled',
    POSITION_QUERY: 'position.query',
    BALANCE_QUERY: 'account.balance_query',
    LEVERAGE_SET: 'config.leverage_set',
    MARGIN_TYPE_SET: 'config.margin_type_set',
    API_ERROR: 'api.error',
    RETRY_ATTEMPT: 'api.retry_attempt',
    RATE_LIMIT: 'api.rate_limit',
    RISK_VALIDATION: 'risk.validation',
    RISK_REJECTION: 'risk.rejection',
    POSITION_SIZE_CALCULATED: 'risk.position_size_calculated',
    POSITION_SIZE_CAPPED: 'risk.position_size_capped',
    SIGNAL_PROCESSING: 'strategy.signal_processed',
    TRADE_EXECUTED: 'trade.executed',
    TRADE_EXECUTION_FAILED: 'trade.execution_failed',
  },
  'seed 004': {
    TRADE_ENTRY: 'trade.entry',
    TRADE_EXIT: 'trade.exit',
    TRADE_PARTIAL_EXIT: 'trade.partial_exit',
    STOP_LOSS_HIT: 'trade.stop_loss_hit',
    TAKE_PROFIT_HIT: 'trade.take_profit_hit',
    TRADE_CANCELLED: 'trade.cancelled',
    POSITION_ADJUSTED: 'position.adjusted',
    SYSTEM_START: 'system.start',
    SYSTEM_STOP: 'system.stop',
    SYSTEM_ERROR: 'system.error',
    HEALTH_CHECK: 'system.health_check',
    MARKET_STATUS: 'system.market_status',
    RISK_LIMIT_HIT: 'risk.limit_hit',
    POSITION_SIZE_CALCULATED: 'risk.position_size_calculated',
    DAILY_LOSS_LIMIT: 'risk.daily_loss_limit',
    PORTFOLIO_HEAT_WARNING: 'risk.portfolio_heat_warning',
    STRATEGY_SIGNAL: 'strategy.signal',
    SYMBOL_SCAN: 'strategy.symbol_scan',
    ENTRY_SIGNAL: 'strategy.entry_signal',
    EXIT_SIGNAL: 'strategy.exit_signal',
    API_CALL: 'api.call',
    API_ERROR: 'api.error',
    RATE_LIMIT: 'api.rate_limit',
    PERFORMANCE_METRIC: 'performance.metric',
    LATENCY_MEASUREMENT: 'performance.latency',
  },
};

/** Attributes that the four systems record, by what they call them. */
const ATTRIBUTES_ELSEWHERE: Readonly<Record<string, readonly [event: string, attribute: string]>> = {
  'seed 000: old_state': ['risk.circuit_breaker.state_change', 'risk.circuit_breaker.state.old'],
  'seed 000: new_state': ['risk.circuit_breaker.state_change', 'risk.circuit_breaker.state.new'],
  'seed 000: failure_count': ['risk.circuit_breaker.failure', 'risk.circuit_breaker.failure_count'],
  'seed 000: execution_id': ['risk.trailing_stop.update', 'trading.execution.id'],
  'seed 000: entry_premium': ['risk.trailing_stop.update', 'risk.trailing_stop.entry_price'],
  'seed 000: current_premium': ['risk.trailing_stop.update', 'risk.trailing_stop.current_price'],
  'seed 000: highest_premium': ['risk.trailing_stop.trigger', 'risk.trailing_stop.peak_price'],
  'seed 000: stop_premium': ['risk.trailing_stop.trigger', 'risk.trailing_stop.stop_price'],
  'seed 000: action': ['risk.trailing_stop.trigger', 'risk.trailing_stop.action'],
  'seed 000: limit_type': ['risk.portfolio_limit.rejection', 'risk.limit.type'],
  'seed 000: current_value': ['risk.portfolio_limit.rejection', 'risk.limit.current'],
  'seed 000: limit_value': ['risk.portfolio_limit.rejection', 'risk.limit.max'],
  'seed 000: allowed': ['risk.portfolio_limit.check', 'risk.decision'],
  'seed 000: rejection_reason': ['risk.portfolio_limit.rejection', 'risk.reason'],
  'seed 000: metadata': ['risk.portfolio_limit.check', 'metadata'],
  'seed 002: account_id': ['enforcement.breach', 'trading.account.id'],
  'seed 002: rule_id': ['enforcement.breach', 'risk.rule.id'],
  'seed 002: correlation_id': ['enforcement.action', 'correlation.id'],
  'seed 002: duration_ms': ['api.call', 'timing.duration_ms'],
  'seed 002: endpoint': ['api.call', 'api.endpoint'],
  'seed 002: status_code': ['api.call', 'http.response.status_code'],
  'seed 002: action': ['enforcement.action', 'risk.action'],
  'seed 003: order_type': ['order.placed', 'trading.order.type'],
  'seed 003: stop_price': ['order.placed', 'trading.order.stop_price'],
  'seed 003: close_position': ['order.placed', 'trading.order.close_position'],
  'seed 003: error_code': ['order.rejected', 'error.code'],
  'seed 003: account_balance': ['risk.position_size_calculated', 'trading.balance'],
  'seed 003: risk_amount': ['risk.position_size_calculated', 'risk.amount'],
  'seed 003: sl_distance_percent': ['risk.position_size_calculated', 'risk.stop_distance_percent'],
  'seed 003: max_position_percent': ['risk.position_size_capped', 'risk.position.max_percent'],
  'seed 003: interval': ['strategy.signal_processed', 'trading.interval'],
  'seed 003: tp_count': ['trade.executed', 'trading.take_profit_count'],
  'seed 004: risk_percent': ['trade.entry', 'risk.percent'],
  'seed 004: strategy_name': ['trade.entry', 'trading.strategy.id'],
  'seed 004: pnl': ['trade.exit', 'trading.pnl'],
  'seed 004: hold_time_minutes': ['trade.exit', 'trading.hold_time_minutes'],
  'seed 004: session_id': ['trade.exit', 'trading.session.id'],
  'seed 004: retry_count': ['api.error', 'retry.count'],
};

const placeholders = (template: string) => [...template.matchAll(/\{([^}]*)\}/g)].map((match) => match[1]!);

describe('the catalogue', () => {
  it('holds every event that its design asks for', () => {
    const missing = Object.entries(ASKED_FOR)
      .flatMap(([family, names]) => names.map((name) => `${family}.${name}`))
      .filter((name) => !Object.hasOwn(EVENTS, name));
    expect(missing).toEqual([]);
  });

  it.each(
    Object.entries(KNOWN_ELSEWHERE).flatMap(([seed, table]) =>
      Object.entries(table).map(([type, event]) => [seed, type, event]),
    ),
  )('%s: %s → %s', (_seed, _type, event) => {
    expect(Object.keys(EVENTS)).toContain(event);
  });

  it.each(Object.entries(ATTRIBUTES_ELSEWHERE))('%s → %s', (_field, [event, attribute]) => {
    const { required, optional } = (EVENTS as Readonly<Record<string, EventDefinition>>)[event]!;
    expect([...required, ...optional, ...common]).toContain(attribute);
  });

  it('names events and attributes in dotted snake_case', () => {
    const single = ['sampled', 'operation', 'metadata'];
    for (const [name] of events) expect(name).toMatch(NAME);
    for (const name of Object.keys(attributes)) if (!single.includes(name)) expect(name).toMatch(NAME);
  });

  it('names no attribute as a map of another: no name is the beginning of another but for its own parts', () => {
    const maps = Object.keys(attributes).filter((name) => attributes[name]!.type === 'map');
    for (const map of maps) expect(Object.keys(attributes).filter((name) => name.startsWith(`${map}.`))).toEqual([]);
  });

  it('gives each attribute a sentence, and values only to strings', () => {
    for (const [name, { brief, values, type }] of Object.entries(attributes)) {
      expect(brief, name).toMatch(/[.…]$/);
      if (values !== undefined) expect(type, name).toBe('string');
    }
  });

  it('uses every attribute', () => {
    const recordOwn = ['audit.stream', 'audit.sequence.number', 'audit.record.id', 'audit.integrity.value'];
    const byRuntime = ['audit.coerced', 'audit.invalid', 'audit.missing', 'event.category'];
    const used = new Set<string>([...common, ...recordOwn, ...byRuntime]);
    for (const [, { required, optional }] of events) for (const name of [...required, ...optional]) used.add(name);
    expect(Object.keys(attributes).filter((name) => !used.has(name))).toEqual([]);
  });
});

describe.each(events)('%s', (name, event) => {
  const own = [...event.required, ...event.optional];

  it('takes only attributes that exist, none of them twice as required', () => {
    expect(own.filter((attribute) => !Object.hasOwn(attributes, attribute))).toEqual([]);
    expect(new Set(event.required).size).toBe(event.required.length);
  });

  it('has a message whose places are filled: outside of […] by required attributes, inside by any that it takes', () => {
    const outside = placeholders(event.message.replace(/\[[^\]]*\]/g, ''));
    expect(outside.filter((attribute) => !event.required.includes(attribute))).toEqual([]);
    const inside = placeholders(event.message);
    expect(inside.filter((attribute) => !own.includes(attribute) && !common.includes(attribute))).toEqual([]);
    expect(event.message.replace(/\[[^[\]]*\]/g, '')).not.toMatch(/[[\]]/);
    expect([...event.message.matchAll(/\[[^\]]*\]/g)].every(([part]) => placeholders(part).length > 0)).toBe(true);
  });

  it('has known categories, a severity, a component and a sentence', () => {
    expect(event.category.length).toBeGreaterThan(0);
    expect(event.category.filter((category) => !CATEGORIES.includes(category))).toEqual([]);
    expect(event.category).not.toContain('error');
    expect(Object.keys(SEVERITY_NUMBERS)).toContain(event.severity);
    expect(event.component).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(event.brief).toMatch(/[.…]$/);
  });

  it('is of the class and the severity that the rules say', () => {
    // What decides, moves money, changes a setting or passes a threshold is proof; what only measures may be dropped.
    const telemetry = /^(api\.call|performance\.metric|strategy\.(no_signal|symbol_scan)|audit\.health)$/;
    expect(event.class).toBe(telemetry.test(name) ? 'telemetry' : 'audit');
    if (event.severity === 'DEBUG') expect(event.class).toBe('telemetry');
    if (/(error|failed|outcome_unknown|degraded|record_rejected|kill_switch|audit\.finding)$/.test(name)) {
      expect(event.severity).toBe('ERROR');
    }
    if (/(rejection|rejected|warning|breach|not_permitted|limit_hit|invalid_input|manual_\w+)$/.test(name)) {
      expect(SEVERITY_NUMBERS[event.severity]).toBeGreaterThanOrEqual(SEVERITY_NUMBERS.WARN);
    }
  });

  it('is of the component that its family names', () => {
    const families: Readonly<Record<string, string>> = {
      'risk.circuit_breaker.': 'circuit_breaker',
      'risk.trailing_stop.': 'trailing_stop',
      'risk.portfolio_limit.': 'portfolio_limits',
    };
    const family = Object.keys(families).find((prefix) => name.startsWith(prefix));
    if (family !== undefined) expect(event.component).toBe(families[family]);
    else if (!name.startsWith('risk.')) expect(event.component).toBe(name.split('.')[0]);
    if (name.startsWith('risk.')) expect(event.category).toContain('risk');
  });
});
