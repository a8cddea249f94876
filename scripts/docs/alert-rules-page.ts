/** The page of the alert rules: what each measures, when it is raised, and its queries. */

import { ruleName } from '../../src/alerting/render/documents.ts';
import { measureLogql } from '../../src/alerting/render/logql.ts';
import { measureSql } from '../../src/alerting/render/sql.ts';
import type { AlertRule, EventSet, Measure, Predicate } from '../../src/alerting/rule.ts';
import { formatDuration, formatThreshold } from '../../src/alerting/text.ts';

const code = (text: string): string => `\`${text}\``;

function predicateText(predicate: Predicate): string {
  const value = predicate.is === 'in' ? predicate.values.join(' or ') : String(predicate.value);
  return `${code(predicate.attribute)} ${predicate.is === 'in' ? '=' : predicate.is} ${value}`;
}

function setText(set: EventSet): string {
  return set
    .map(({ events, minSeverity, where }) => {
      const which = events === undefined ? 'any event' : events.map(code).join(', ');
      const grave = minSeverity === undefined ? '' : ` of severity ${minSeverity} or above`;
      const conditions = where === undefined ? '' : ` where ${where.map(predicateText).join(' and ')}`;
      return `${which}${grave}${conditions}`;
    })
    .join('; or ');
}

function measureText(measure: Measure): string {
  switch (measure.kind) {
    case 'count':
      return `number of ${setText(measure.of)}`;
    case 'rate':
      return `number of ${setText(measure.of)} in ${formatDuration(measure.perMs)}`;
    case 'ratio':
      return `share of ${setText(measure.of)} among ${setText(measure.among)} (at least ${measure.atLeast})`;
    case 'absence':
      return `none of ${setText(measure.of)}, seen within ${formatDuration(measure.lookbackMs)} before and not ended by ${setText(measure.endedBy)}`;
    default: {
      const { attribute, per } = measure.value;
      const number = per === undefined ? code(attribute) : `${code(attribute)} / ${code(per)}`;
      const which = measure.kind === 'quantile' ? `${measure.quantile * 100} % quantile` : measure.kind;
      return `${which} of ${number} of ${setText(measure.of)}`;
    }
  }
}

function section(rule: AlertRule): string {
  const { condition, forMs, groupBy, silencedBy } = rule;
  const groups = ['the service', ...groupBy.map(({ attribute }) => code(attribute))].join(', ');
  return `## ${ruleName(rule)}

${code(rule.id)} · ${rule.type} · ${rule.severity} · [runbook](runbooks/${rule.runbook}.md)

- Measures: ${measureText(rule.measure)}
- Within: ${formatDuration(rule.windowMs)}, for each of ${groups}
- Raised where it is ${condition.is === 'in' ? 'one of' : condition.is} ${formatThreshold(rule)}${forMs === 0 ? '' : `, for ${formatDuration(forMs)}`}${silencedBy.length === 0 ? '' : `; not while ${silencedBy.map(code).join(', ')} is raised for the service`}

\`\`\`sql
${measureSql(rule)}
\`\`\`

\`\`\`logql
${measureLogql(rule)}
\`\`\`
`;
}

/** \`docs/alert-rules.md\`. */
export function alertRulesPage(rules: readonly AlertRule[]): string {
  const rows = rules.map(
    (rule) =>
      `| [${ruleName(rule)}](#${ruleName(rule).toLowerCase().replaceAll(' ', '-')}) | ${rule.type} | ${rule.severity} | ${rule.condition.is} ${formatThreshold(rule)} | ${formatDuration(rule.windowMs)} | ${rule.forMs === 0 ? 'at once' : formatDuration(rule.forMs)} | ${rule.topic} |`,
  );
  return `<!-- Written by scripts/generate-alerts.ts from src/alerting/rules.ts: change it there. -->
# Alert rules

The rules that risktrail comes with; [alerts](alerts.md) says how to run, set and silence them. The SQL runs by
\`risktrail query\` with a time in place of \`$at\` (nanoseconds since 1970), the LogQL as an instant query.

| rule | type | severity | raised where | window | after | topic |
|---|---|---|---|---|---|---|
${rows.join('\n')}

${rules.map(section).join('\n')}`;
}
