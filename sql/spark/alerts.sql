-- Alerts, a row each, as they stand at the end of the trail.
CREATE OR REPLACE TEMPORARY VIEW alerts AS
SELECT alert_id,
  min_by(alert_type, time_unix_nano) FILTER (WHERE alert_type IS NOT NULL) AS type,
  min_by(alert_severity, time_unix_nano) FILTER (WHERE alert_severity IS NOT NULL) AS severity,
  max_by(status, (time_unix_nano, sequence)) AS status,
  min_by(alert_title, time_unix_nano) FILTER (WHERE alert_title IS NOT NULL) AS title,
  min_by(alert_message, time_unix_nano) FILTER (WHERE alert_message IS NOT NULL) AS message,
  min_by(alert_rule, time_unix_nano) FILTER (WHERE alert_rule IS NOT NULL) AS rule,
  min_by(symbol, time_unix_nano) FILTER (WHERE symbol IS NOT NULL) AS symbol,
  min_by(strategy_id, time_unix_nano) FILTER (WHERE strategy_id IS NOT NULL) AS strategy_id,
  min_by(metadata, time_unix_nano) FILTER (WHERE metadata IS NOT NULL) AS metadata,
  min(timestamp) FILTER (WHERE event = 'alert.raised') AS created_at,
  min(timestamp) FILTER (WHERE event = 'alert.acknowledged') AS acknowledged_at,
  max_by(actor, time_unix_nano) FILTER (WHERE event = 'alert.acknowledged') AS acknowledged_by,
  max(timestamp) FILTER (WHERE event IN ('alert.resolved', 'alert.dismissed')) AS resolved_at,
  max_by(actor, time_unix_nano) FILTER (WHERE event IN ('alert.resolved', 'alert.dismissed')) AS resolved_by,
  (max(time_unix_nano) FILTER (WHERE event IN ('alert.resolved', 'alert.dismissed'))
    - min(time_unix_nano) FILTER (WHERE event = 'alert.raised')) / 1e9 AS resolution_seconds
FROM (SELECT *, CASE event WHEN 'alert.raised' THEN 'ACTIVE' WHEN 'alert.acknowledged' THEN 'ACKNOWLEDGED'
    WHEN 'alert.resolved' THEN 'RESOLVED' ELSE 'DISMISSED' END AS status FROM alert_events WHERE alert_id IS NOT NULL
    AND event IN ('alert.raised', 'alert.acknowledged', 'alert.resolved', 'alert.dismissed'))
GROUP BY alert_id
