/** A process that starts a Collector in the directory given, says where, and waits to be killed. */
import { startCollector } from './stack-collector.ts';

const collector = await startCollector(process.argv[2]!);
console.log(collector.endpoint);
setInterval(() => {}, 60_000);
