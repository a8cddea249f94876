// Arguments: port of the socket, how many orders.
const { trade } = require('./ib-steps.cjs');

trade(require('@stoqey/ib'), ...process.argv.slice(2).map(Number));
