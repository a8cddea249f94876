// Arguments: address of the venue, ports of PostgreSQL, Redis and Kafka.
const steps = require('./official-steps.cjs');

const libraries = {
  http: require('node:http'),
  binance: require('binance'),
  undici: require('undici'),
  pg: require('pg'),
  Redis: require('ioredis'),
  kafkajs: require('kafkajs'),
};
void steps.run(libraries, ...process.argv.slice(2));
