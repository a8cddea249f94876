/** The SDK's processor types, for rooms that pass processors on without knowing the SDK. */
export type { LogRecordProcessor } from '@opentelemetry/sdk-logs';
export type { SpanProcessor } from '@opentelemetry/sdk-trace';
