/**
 * Stands in for the SDK's `@aws-sdk/credential-provider-node` in the deployed bundles: credentials come from the
 * environment, where Lambda puts its role's (AWS Lambda developer guide, "Defined runtime environment variables"),
 * and from nowhere else. No profile, no token file, no metadata service and no other process is ever asked.
 */
export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env';
