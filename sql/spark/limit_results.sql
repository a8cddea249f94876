-- Each limit of each check (and of each health record), a row each.
CREATE OR REPLACE TEMPORARY VIEW limit_results AS
SELECT timestamp, event, decision, symbol, side, quantity, order_id, account_id, strategy_id,
  execution_id, one.limits_type AS type, one.limits_current AS current, one.limits_projected AS projected,
  one.limits_max AS max, one.limits_utilization AS utilization, one.limits_code AS code,
  trace_id, record_id, stream, sequence, time_unix_nano FROM limits
  LATERAL VIEW explode(arrays_zip(limits_type, limits_current, limits_projected, limits_max, limits_utilization, limits_code)) AS one
