/** The dashboards, by their files below `grafana/dashboards/`. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { AUDIT_TRAIL } from './audit-trail.ts';
import { CIRCUIT_BREAKERS } from './circuit-breakers.ts';
import { build, type Described } from './dashboard.ts';
import { INCIDENT } from './incident.ts';
import { LIMITS } from './limits.ts';
import { ORDERS_AND_API } from './orders-and-api.ts';
import { SAFE_TO_TRADE } from './safe-to-trade.ts';
import { TRAILING_STOPS } from './trailing-stops.ts';

const DESCRIBED: readonly Described[] = [
  SAFE_TO_TRADE,
  CIRCUIT_BREAKERS,
  TRAILING_STOPS,
  LIMITS,
  ORDERS_AND_API,
  INCIDENT,
  AUDIT_TRAIL,
];

/** Every dashboard in Grafana's classic form, by its file's name without `.json`. */
export const dashboards = (): ReadonlyMap<string, Dashboard> => new Map(DESCRIBED.map((one) => [one.slug, build(one)]));
