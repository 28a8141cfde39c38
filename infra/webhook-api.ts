import { RemovalPolicy } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  DomainName,
  HttpApi,
  HttpMethod,
  HttpStage,
  LogGroupLogDestination,
  SecurityPolicy,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Stage } from './stage.ts';

export interface WebhookApiProps extends Pick<Stage, 'domain'> {
  archiverName: string;
  handler: IFunction;
  /** Encrypts the access log. */
  logKey: IKey;
}

/** Requests per second, and burst. Telnyx sends one event per change of an order. */
const throttle = { rateLimit: 50, burstLimit: 100 };

const path = '/webhook';

/** The public endpoint, with the single route `POST /webhook`. The access log has neither headers nor bodies. */
export class WebhookApi extends Construct {
  readonly api: HttpApi;
  /** The webhook URL to enter at Telnyx. */
  readonly url: string;
  /** Target of the custom domain's CNAME record; undefined without a domain. */
  readonly domainTarget: string | undefined;

  constructor(scope: Construct, id: string, { archiverName, domain, handler, logKey }: WebhookApiProps) {
    super(scope, id);
    this.api = new HttpApi(this, 'Api', {
      apiName: `${archiverName}-webhook`,
      description: 'Receives Telnyx webhooks',
      createDefaultStage: false,
      disableExecuteApiEndpoint: domain !== undefined,
    });
    this.api.addRoutes({
      path,
      methods: [HttpMethod.POST],
      integration: new HttpLambdaIntegration('Webhook', handler),
    });
    const domainName =
      domain &&
      new DomainName(this, 'Domain', {
        domainName: domain.name,
        certificate: Certificate.fromCertificateArn(this, 'Certificate', domain.certificateArn),
        securityPolicy: SecurityPolicy.TLS_1_2,
      });
    new HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      throttle,
      accessLogSettings: {
        destination: new LogGroupLogDestination(
          new LogGroup(this, 'AccessLog', {
            retention: RetentionDays.ONE_YEAR,
            encryptionKey: logKey,
            removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
          }),
        ),
        format: AccessLogFormat.custom(
          JSON.stringify({
            requestId: '$context.requestId',
            requestTime: '$context.requestTimeEpoch',
            sourceIp: '$context.identity.sourceIp',
            routeKey: '$context.routeKey',
            status: '$context.status',
            responseLatency: '$context.responseLatency',
            integrationStatus: '$context.integrationStatus',
            integrationLatency: '$context.integrationLatency',
          }),
        ),
      },
      ...(domainName && { domainMapping: { domainName } }),
    });
    this.url = `${domain ? `https://${domain.name}` : this.api.apiEndpoint}${path}`;
    this.domainTarget = domainName?.regionalDomainName;
  }
}
