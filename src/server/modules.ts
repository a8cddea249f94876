/** Fastify and its plugins: optional packages, loaded when a server is started. */
import { RiskTrailError } from '../core/errors.ts';

/** What a server is made of. */
export interface ServerModules {
  readonly fastify: typeof import('fastify')['default'];
  readonly swagger: typeof import('@fastify/swagger')['default'];
  readonly swaggerUi: typeof import('@fastify/swagger-ui')['default'];
  readonly rateLimit: typeof import('@fastify/rate-limit')['default'];
}

/**
 * Loads the packages.
 * @throws RiskTrailError SERVER_PACKAGES_MISSING
 */
export async function loadServerModules(): Promise<ServerModules> {
  try {
    const [fastify, swagger, swaggerUi, rateLimit] = await Promise.all([
      import('fastify'),
      import('@fastify/swagger'),
      import('@fastify/swagger-ui'),
      import('@fastify/rate-limit'),
    ]);
    return {
      fastify: fastify.default,
      swagger: swagger.default,
      swaggerUi: swaggerUi.default,
      rateLimit: rateLimit.default,
    };
  } catch (error) {
    const reason = (error as Error).message.split('\n', 1)[0]!;
    throw new RiskTrailError('SERVER_PACKAGES_MISSING', { reason }, error);
  }
}
