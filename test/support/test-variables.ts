/**
 * Variables of the tests themselves. They begin as the product's do, and the product refuses what it doesn't know: so they are
 * put aside before a test runs, under a name that no service looks at and that child processes inherit.
 */
const NAMES = [
  'RISKTRAIL_REQUIRE_BROWSER',
  'RISKTRAIL_REQUIRE_PREVIOUS',
  'RISKTRAIL_REQUIRE_STACK',
  'RISKTRAIL_LOAD_SECONDS',
  'RISKTRAIL_STACK_CACHE',
  'RISKTRAIL_STACK_COMPOSE',
  'RISKTRAIL_SPARK',
] as const;
type TestVariable = (typeof NAMES)[number];

const aside = (name: TestVariable): string => `TESTS_${name}`;

/** Puts them aside. */
export function putAsideTestVariables(): void {
  for (const name of NAMES) {
    const value = process.env[name];
    if (value === undefined) continue;
    process.env[aside(name)] = value;
    delete process.env[name];
  }
}

/** The value of one of them, put aside or not. */
export const testVariable = (name: TestVariable): string | undefined => process.env[name] ?? process.env[aside(name)];
