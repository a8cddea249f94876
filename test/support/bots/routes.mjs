// Arguments: framework; for HTTPS, files of a key and a certificate.
import steps from './routes-steps.cjs';

const [framework, key, cert] = process.argv.slice(2);
const { default: library } = framework === 'express' ? await import('express') : await import('fastify');
await steps.run(framework, library, key, cert);
