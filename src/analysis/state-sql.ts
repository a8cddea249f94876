/** The state at a time as rows, in SQL: what a panel shows without a fold. A test keeps it equal to the fold. */

/**
 * One SELECT over the views of docs/sql.md. `$at` is the moment, a TIMESTAMP in UTC. Rows: layer, name, status, value (stop
 * level, loss of the day, quantity filled), max_value, headroom, until, and the record that says so last.
 */
export const STATE_AT_SQL = `
WITH begun AS (
  -- A process that did not go on from an earlier state began with nothing.
  SELECT coalesce(max(s.time_unix_nano), 0) AS ns FROM events s
  WHERE s.event = 'system.start' AND s.timestamp <= $at::TIMESTAMP
    AND NOT EXISTS (SELECT 1 FROM events r WHERE r.event = 'risk.state_restored' AND r.stream = s.stream)
), breaker_rows AS (
  SELECT name, arg_max({status: new_state, until: open_until, record: record_id}, (time_unix_nano, sequence)) AS l
  FROM breakers, begun
  WHERE timestamp <= $at::TIMESTAMP AND time_unix_nano >= begun.ns AND new_state IS NOT NULL GROUP BY name
), stop_rows AS (
  SELECT stop_id AS name,
    arg_max({event: event, record: record_id}, (time_unix_nano, sequence))
      FILTER (event NOT IN ('risk.trailing_stop.peak', 'risk.trailing_stop.partial_close')) AS l,
    arg_max(stop_price, (time_unix_nano, sequence))
      FILTER (event IN ('risk.trailing_stop.activate', 'risk.trailing_stop.update')) AS level,
    max((time_unix_nano, sequence)) FILTER (event IN ('risk.trailing_stop.activate', 'risk.trailing_stop.update')) AS level_at,
    max((time_unix_nano, sequence)) FILTER (event IN ('risk.trailing_stop.add', 'risk.trailing_stop.side_flip')) AS begun_at
  FROM stops, begun
  WHERE timestamp <= $at::TIMESTAMP AND time_unix_nano >= begun.ns AND stop_id IS NOT NULL
    AND event NOT IN ('risk.trailing_stop.invalid_input', 'risk.trailing_stop.restored') GROUP BY stop_id
), gate_rows AS (
  SELECT attributes['risk.scope'] AS name,
    arg_max({status: attributes['risk.trading_state.new'], record: record_id}, (time_unix_nano, sequence)) AS l
  FROM events, begun
  WHERE event IN ('risk.trading_state_change', 'risk.trading_state_demand')
    AND timestamp <= $at::TIMESTAMP AND time_unix_nano >= begun.ns GROUP BY 1
), limit_rows AS (
  SELECT coalesce(attributes['risk.limit.set'], 'default') AS name,
    arg_max({
      loss: coalesce(TRY_CAST(attributes['risk.daily_loss'] AS DOUBLE),
        greatest(0, -TRY_CAST(attributes['risk.snapshot'] ->> '$.day.pnl' AS DOUBLE))),
      record: record_id
    }, (time_unix_nano, sequence)) FILTER (event <> 'config.limits_changed') AS l,
    arg_max(TRY_CAST(coalesce(attributes['risk.config.new'] ->> '$.dailyLoss.max',
      attributes['risk.snapshot'] ->> '$.config.dailyLoss.max') AS DOUBLE), (time_unix_nano, sequence))
      FILTER (event IN ('config.limits_changed', 'risk.portfolio_limit.snapshot')) AS max_value
  FROM events, begun
  WHERE timestamp <= $at::TIMESTAMP AND time_unix_nano >= begun.ns AND (
    event IN ('config.limits_changed', 'risk.portfolio_limit.snapshot')
    OR (event = 'risk.portfolio_limit.update' AND attributes['risk.daily_loss'] IS NOT NULL)) GROUP BY 1
), order_rows AS (
  SELECT order_id AS name, arg_max({event: event, record: record_id}, (time_unix_nano, sequence)) AS l,
    coalesce(sum(quantity) FILTER (event = 'order.filled'), 0) AS filled,
    max(quantity) FILTER (event IN ('order.intent', 'order.placed')) AS quantity
  FROM orders, begun
  WHERE timestamp <= $at::TIMESTAMP AND time_unix_nano >= begun.ns AND order_id IS NOT NULL GROUP BY order_id
)
SELECT 'circuit_breaker' AS layer, name, l.status AS status, NULL::DOUBLE AS value, NULL::DOUBLE AS max_value,
  NULL::DOUBLE AS headroom, CASE WHEN l.status = 'OPEN' THEN l.until END AS until, l.record AS record_id FROM breaker_rows
UNION ALL
SELECT 'trailing_stop', name, CASE l.event WHEN 'risk.trailing_stop.trigger' THEN 'triggered'
    WHEN 'risk.trailing_stop.add' THEN 'pending' WHEN 'risk.trailing_stop.side_flip' THEN 'pending' ELSE 'active' END,
  CASE WHEN begun_at IS NULL OR level_at > begun_at THEN level END, NULL, NULL, NULL, l.record
FROM stop_rows WHERE l.event <> 'risk.trailing_stop.remove'
UNION ALL
SELECT 'trading_state', name, l.status, NULL, NULL, NULL, NULL, l.record FROM gate_rows WHERE l.status <> 'ACTIVE'
UNION ALL
SELECT 'portfolio_limits', name || ':daily_loss', CASE WHEN l.loss > max_value THEN 'breached' ELSE 'ok' END,
  l.loss, max_value, max_value - l.loss, NULL, l.record FROM limit_rows
UNION ALL
SELECT 'orders', name, CASE l.event WHEN 'order.intent' THEN 'intent' WHEN 'order.outcome_unknown' THEN 'unknown'
    ELSE 'placed' END, filled, quantity, quantity - filled, NULL, l.record
FROM order_rows WHERE l.event NOT IN ('order.cancelled', 'order.rejected') AND filled < quantity
ORDER BY layer, name`.trim();
