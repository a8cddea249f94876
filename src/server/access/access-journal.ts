/** The server's own trail: every access by token is an `api.access` event in it. */
import { openJournal } from '../../audit/journal/journal.ts';
import { type Clock, hrTimeToNanos, toHrTime } from '../../core/clock.ts';
import { VERSION } from '../../version.ts';

/** Service of the server's own stream. */
export const SERVER_SERVICE = 'risktrail-server';
/** Folder of the server's own trail within a data directory. */
export const ACCESS_DIRECTORY = 'access';

/** One access. */
export interface Access {
  /** Name of the token; undefined where the token was nobody's. */
  readonly actor: string | undefined;
  readonly method: string;
  /** Path of the request, without its query. */
  readonly path: string;
  /** The route's pattern. */
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
}

/** A journal of accesses. */
export interface AccessJournal {
  /** Records an access. Never throws. */
  add(access: Access): void;
  /** Signs what was recorded, and closes the journal. */
  close(): Promise<void>;
}

const MAX_PATH = 200;

/**
 * Opens the journal.
 * @param dataDir made where it is missing
 * @param onError told of what goes wrong while it is written
 * @throws RiskTrailError AUDIT_DIRECTORY_UNUSABLE, and as `openJournal`
 */
export function openAccessJournal(
  dataDir: string,
  clock: Clock,
  onError: (error: unknown, what: string) => void,
): AccessJournal {
  const journal = openJournal({
    dataDir,
    serviceName: SERVER_SERVICE,
    resource: { 'service.name': SERVER_SERVICE },
    scope: { name: 'risktrail', version: VERSION },
    clock,
    onError,
  });
  return {
    add({ actor, method, path, route, status, durationMs }) {
      const shown = path.slice(0, MAX_PATH);
      const denied = status === 401 || status === 403;
      journal.append({
        eventName: 'api.access',
        ...(denied ? { severityNumber: 13, severityText: 'WARN' } : { severityNumber: 9, severityText: 'INFO' }),
        timeUnixNano: hrTimeToNanos(toHrTime(clock.now())),
        body: `API access: ${method} ${shown} ${status}`,
        attributes: {
          'http.request.method': method,
          'url.path': shown,
          'http.response.status_code': status,
          'api.endpoint': route,
          'risk.actor': actor ?? 'unknown token',
          'timing.duration_ms': Math.round(durationMs * 1000) / 1000,
        },
      });
    },
    close: () => journal.close('shutdown'),
  };
}
