/** The dashboards as Grafana reads them, and their queries as Grafana would send them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const DIRECTORY = resolve(import.meta.dirname, '../../grafana/dashboards');

export interface Target {
  readonly refId: string;
  readonly datasource: { readonly uid: string };
  readonly expr?: string;
  readonly legendFormat?: string;
  /** TraceQL, or a trace id. */
  readonly query?: string;
  readonly queryType: string;
}

/** A word and a colour for each value, for a span of values, or for none. */
export type Mapping =
  | { readonly type: 'value'; readonly options: Readonly<Record<string, { text: string; color: string }>> }
  | { readonly type: 'range'; readonly options: { readonly result: { text: string; color: string } } }
  | { readonly type: 'special'; readonly options: { readonly match: string; readonly result: { color: string } } };

export interface DashboardPanel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description: string;
  readonly datasource: { readonly type: string; readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly repeat?: string;
  /** A range of its own: `now/d`, `24h`. */
  readonly timeFrom?: string;
  readonly targets?: readonly Target[];
  readonly transformations?: readonly {
    readonly id: string;
    readonly options: { readonly include?: { readonly names: readonly string[] } };
  }[];
  readonly fieldConfig: {
    readonly defaults: {
      readonly unit?: string;
      readonly noValue?: string;
      readonly mappings?: readonly Mapping[];
      readonly thresholds?: { readonly steps: readonly { readonly value: number | null; readonly color: string }[] };
      readonly links?: readonly { readonly title: string; readonly url: string }[];
    };
    readonly overrides: readonly {
      readonly matcher: { readonly id: string; readonly options: string };
      readonly properties: readonly { readonly id: string; readonly value: unknown }[];
    }[];
  };
}

export interface DashboardFile {
  readonly file: string;
  readonly text: string;
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly panels: readonly DashboardPanel[];
  readonly links: readonly { readonly type: string; readonly tags: readonly string[] }[];
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly query: unknown;
      readonly allValue?: string;
      readonly datasource?: { readonly uid: string };
    }[];
  };
  readonly annotations: {
    readonly list: readonly {
      readonly name: string;
      readonly expr: string;
      readonly titleFormat: string;
      readonly datasource: { readonly uid: string };
    }[];
  };
}

/** Every file of `grafana/dashboards/`. */
export function readDashboards(): readonly DashboardFile[] {
  return readdirSync(DIRECTORY)
    .sort()
    .map((file) => {
      const text = readFileSync(join(DIRECTORY, file), 'utf8');
      return { ...(JSON.parse(text) as Omit<DashboardFile, 'file' | 'text'>), file, text };
    });
}

/** What variables are where nobody has chosen anything, but for those that need a choice. */
const CHOSEN: Readonly<Record<string, string>> = {
  service: '.+',
  account: '.*',
  strategy: '.*',
  breaker: '.*',
  symbol: '.*',
  limit: 'leverage',
  id: '',
  trace: '',
};

/** A query with its variables filled in. */
export function filledIn(
  query: string,
  rangeSeconds: number,
  stepSeconds: number,
  chosen: Readonly<Record<string, string>> = {},
): string {
  const values: Readonly<Record<string, string>> = {
    ...CHOSEN,
    ...chosen,
    __range: `${rangeSeconds}s`,
    __interval: `${stepSeconds}s`,
  };
  return query.replace(/\$(?:\{(\w+)\}|(\w+))/g, (all, braced: string | undefined, plain: string | undefined) => {
    return values[braced ?? plain!] ?? all;
  });
}
