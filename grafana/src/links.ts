/** Addresses of the dashboards. */

/** `/d/…` of a dashboard, at the time that is shown. */
export const linkTo = (slug: string, ...variables: readonly string[]): string =>
  [`/d/risktrail-${slug}?\${__url_time_range}&\${service:queryparam}`, ...variables].join('&');
