// Arguments: framework; for HTTPS, files of a key and a certificate.
const steps = require('./routes-steps.cjs');

const [framework, key, cert] = process.argv.slice(2);
void steps.run(framework, require(framework), key, cert);
