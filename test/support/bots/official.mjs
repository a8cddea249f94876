// Arguments: address of the venue, ports of PostgreSQL, Redis and Kafka.
import http from 'node:http';
import binance from 'binance';
import Redis from 'ioredis';
import kafkajs from 'kafkajs';
import pg from 'pg';
import * as undici from 'undici';
import steps from './official-steps.cjs';

await steps.run({ binance, http, undici, pg, Redis, kafkajs }, ...process.argv.slice(2));
