const steps = require('./breakers-steps.cjs');

void steps.run({
  cockatiel: require('cockatiel'),
  CircuitBreaker: require('opossum'),
  pino: require('pino'),
  winston: require('winston'),
  bunyan: require('bunyan'),
});
