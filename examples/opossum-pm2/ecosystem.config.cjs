// pm2 start ecosystem.config.cjs
module.exports = {
  apps: [
    {
      name: 'prices',
      script: 'app.cjs',
      instances: 2,
      node_args: '--import risktrail/register',
      env: { OTEL_SERVICE_NAME: 'prices' },
    },
  ],
};
