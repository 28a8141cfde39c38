/**
 * Replaces the SDK's `@aws-sdk/credential-provider-node` in the deployed bundles. Credentials come only from the
 * environment, where Lambda puts those of the function's role (AWS Lambda developer guide, "Defined runtime environment
 * variables"): never from a profile, a token file, a metadata service or another process.
 */
export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env';
