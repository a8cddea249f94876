/** Starts and ends a server. */
import type { AddressInfo } from 'node:net';
import { readRules } from '../alerting/read-rules.ts';
import type { AlertRule } from '../alerting/rule.ts';
import { type Clock, createSystemClock } from '../core/clock.ts';
import { RiskTrailError } from '../core/errors.ts';
import { type AccessJournal, openAccessJournal } from './access/access-journal.ts';
import { hostTest, isLoopback } from './access/hosts.ts';
import { readTokenFile, TokenKeeper } from './access/tokens.ts';
import { createApp, type OpenApiDocument } from './create-app.ts';
import { DEFAULT_LIMITS, defaultAuditDir, ServerContext, type ServerLimits } from './server-context.ts';

/** How a trail is served. */
export interface ServeOptions {
  /** Data directory, or files and directories of a trail. */
  readonly paths: readonly string[];
  /** Address to listen on; any but this machine's own needs a token file. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** 0 for any that is free. @default 7117 */
  readonly port?: number | undefined;
  /** File of hashed tokens: with it, every request but `/health` needs one. */
  readonly tokenFile?: string | undefined;
  /** Data directory of the server's own trail, which has an event for every access by token. @default `access` in the trail's */
  readonly auditDir?: string | undefined;
  /** Names besides its address by which the server is reached. */
  readonly allowedHosts?: readonly string[] | undefined;
  readonly limits?: Partial<ServerLimits> | undefined;
  /** Rest between two verifications in the background, in milliseconds; 0 for none. @default 30_000 */
  readonly verifyIntervalMs?: number | undefined;
  /** A look at the files serves so long, in milliseconds. @default 200 */
  readonly freshMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** See `OpenTrailOptions.cache`. @default false */
  readonly cache?: boolean | string | undefined;
  /** The rules of alerts. @default those that risktrail comes with */
  readonly rules?: readonly AlertRule[] | undefined;
  /** Masks what a person writes about an alert. @default nothing is masked */
  readonly redact?: ((text: string) => string) | undefined;
  /** Key that signs what is done about alerts; the data directory's own unless given. */
  readonly signingKeyFile?: string | undefined;
  /** Told of what goes wrong while it runs, one line each. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** A server that runs. */
export interface RunningServer {
  /** `http://127.0.0.1:7117` */
  readonly url: string;
  /** Where the accesses are recorded; undefined where no token is needed. */
  readonly auditDir: string | undefined;
  document(): OpenApiDocument;
  /** Answers what is being answered, ends live tails, and signs the server's own trail. Calls share one promise. */
  close(): Promise<void>;
}

/** Port where none is given. */
export const DEFAULT_PORT = 7117;
const DEFAULT_VERIFY_INTERVAL_MS = 30_000;
const DEFAULT_FRESH_MS = 200;
/** Connections that take longer to end are cut, in milliseconds. */
const CLOSE_MS = 5000;

/**
 * Serves a trail.
 * @throws RiskTrailError PATH_NOT_FOUND, SERVER_PACKAGES_MISSING, SERVER_TOKEN_NEEDED, TOKEN_FILE_INVALID, SERVER_CANNOT_LISTEN,
 * AUDIT_DIRECTORY_UNUSABLE, OPTION_INVALID
 */
export async function serveTrail(options: ServeOptions): Promise<RunningServer> {
  const clock = options.clock ?? createSystemClock();
  const warn = options.onWarning ?? (() => {});
  const host = (options.host ?? '127.0.0.1').replace(/^\[|\]$/g, '');
  if (!isLoopback(host) && options.tokenFile === undefined) throw new RiskTrailError('SERVER_TOKEN_NEEDED', { host });
  const tokens = options.tokenFile === undefined ? undefined : new TokenKeeper(await readTokenFile(options.tokenFile));
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const context = new ServerContext({
    paths: options.paths,
    clock,
    limits,
    verifyIntervalMs: options.verifyIntervalMs ?? DEFAULT_VERIFY_INTERVAL_MS,
    freshMs: options.freshMs ?? DEFAULT_FRESH_MS,
    cache: options.cache,
  });
  const auditDir = tokens === undefined ? undefined : auditDirOf(options);
  const access =
    auditDir === undefined
      ? undefined
      : openAccessJournal(auditDir, clock, (error, what) =>
          warn(`access journal ${what}: ${(error as Error).message}`),
        );
  try {
    const app = await createApp(context, {
      tokens,
      access,
      rules: options.rules ?? readRules(undefined),
      isOwnHost: hostTest(host, options.allowedHosts ?? []),
      acts: {
        redact: options.redact ?? ((text) => text),
        signingKeyFile: options.signingKeyFile,
        onError: (error, what) => warn(`journal ${what}: ${(error as Error).message}`),
      },
      onDefect: (error) => warn(context.hide(error.stack ?? error.message)),
    });
    const { fastify, tails } = app;
    try {
      await fastify.listen({ host, port: options.port ?? DEFAULT_PORT });
    } catch (error) {
      const reason = (error as Error).message;
      throw new RiskTrailError('SERVER_CANNOT_LISTEN', { host, port: options.port ?? DEFAULT_PORT, reason }, error);
    }
    const { port, family, address } = fastify.server.address() as AddressInfo;
    context.integrity.start();
    let closing: Promise<void> | undefined;
    const end = async () => {
      tails.end();
      const cut = setTimeout(() => fastify.server.closeAllConnections(), CLOSE_MS);
      await fastify.close();
      clearTimeout(cut);
      await release(context, access);
    };
    return {
      url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
      auditDir,
      document: app.document,
      close: () => (closing ??= end()),
    };
  } catch (error) {
    await release(context, access);
    throw error;
  }
}

async function release(context: ServerContext, access: AccessJournal | undefined): Promise<void> {
  await context.close();
  await access?.close();
}

function auditDirOf({ auditDir, paths }: ServeOptions): string {
  const directory = auditDir ?? defaultAuditDir(paths);
  if (directory !== undefined) return directory;
  const expected = 'a data directory for the events of accesses, since what is served is no directory';
  throw new RiskTrailError('OPTION_INVALID', { field: '--audit-dir', expected, received: 'nothing' });
}
