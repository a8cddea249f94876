import bunyan from 'bunyan';
import * as cockatiel from 'cockatiel';
import CircuitBreaker from 'opossum';
import pino from 'pino';
import winston from 'winston';
import steps from './breakers-steps.cjs';

await steps.run({ cockatiel, CircuitBreaker, pino, winston, bunyan });
