/** Which panel shows what an alert rule measures: Grafana leads from a firing alert to it. */
import type { AlertRule } from '../../src/alerting/rule.ts';
import { dashboards } from './index.ts';

/** Rule → title of a panel of the rule's dashboard. */
export const ALERT_PANELS: Readonly<Record<string, string>> = {
  trading_halted: 'When was trading allowed?',
  breaker_open_long: 'State of each breaker',
  breaker_flapping: 'Trips over time',
  limit_near: 'How full is the tightest limit?',
  rejection_rate: 'Rejection rate over time',
  errors_per_hour: 'What stopped or bent trading?',
  api_latency_p95: 'How long do API calls take?',
  api_latency_mean: 'How long do API calls take?',
  order_outcome_unknown: 'Outcome unknown',
  stop_gap: 'How far past its level did a stop fire?',
  stop_triggered: 'Activations, ratchets, triggers over time',
  daily_loss_near: 'How full is the tightest limit?',
  limit_hits_per_day: 'What was denied, and why?',
  position_capping: 'What was refused before the limits?',
  trade_success_rate: 'What became of the orders?',
  health_check_success: 'Last sign of life',
  no_heartbeat: 'Last sign of life',
  audit_degraded: 'Recoveries and degradations',
  shipping_backlog: 'Backlog over time',
  audit_finding: 'What the trail says of itself',
  checkpoint_overdue: 'How old is the last checkpoint?',
  clock_step: 'Steps of the wall clock',
  disk_nearly_full: 'How much disk is left?',
};

/** Panel ids by rule, for those that are in {@link ALERT_PANELS} and whose dashboard has the panel. */
export function alertPanels(rules: readonly AlertRule[]): ReadonlyMap<string, number> {
  const made = dashboards();
  const found = new Map<string, number>();
  for (const { id, dashboard } of rules) {
    const title = ALERT_PANELS[id];
    const panel = made.get(dashboard)?.panels?.find((one) => 'title' in one && one.title === title);
    if (title !== undefined && panel?.id !== undefined) found.set(id, panel.id);
  }
  return found;
}
