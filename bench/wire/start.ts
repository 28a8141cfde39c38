/** Starts source and sink in separate processes on loopback. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Counts, ServerOptions } from './serve.ts';

interface WireServer {
  /** `http://127.0.0.1:<port>` or `https://…`. */
  origin: string;
  /** Counts since the last call. */
  counts(): Promise<Counts>;
}

export interface Wire {
  source: WireServer;
  sink: WireServer;
  /** PEM file of the certificate authority of both servers. */
  authority: string | undefined;
  close(): void;
}

export async function startWire({
  tls = undefined,
  latencyMs = 0,
}: {
  tls?: Certificate | undefined;
  latencyMs?: number;
} = {}): Promise<Wire> {
  const options = { tls, latencyMs };
  const source = await startServer('source.ts', options);
  const sink = await startServer('sink.ts', options);
  return {
    source: source.server,
    sink: sink.server,
    authority: tls?.certificate,
    close: () => {
      source.child.disconnect();
      sink.child.disconnect();
    },
  };
}

async function startServer(
  file: string,
  options: ServerOptions,
): Promise<{ child: ChildProcess; server: WireServer }> {
  const child = fork(new URL(file, import.meta.url));
  child.send(options);
  const [origin] = (await once(child, 'message')) as [string];
  const counts = async () => {
    child.send('counts');
    const [counted] = (await once(child, 'message')) as [Counts];
    return counted;
  };
  return { child, server: { origin, counts } };
}

export interface Certificate {
  key: string;
  certificate: string;
}

/** Creates a certificate for 127.0.0.1, valid for one day; undefined without `openssl`. */
export function makeCertificate(directory: string): Certificate | undefined {
  const key = join(directory, 'key.pem');
  const certificate = join(directory, 'certificate.pem');
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const name = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  try {
    execFileSync(
      'openssl',
      ['req', '-x509', ...curve, '-nodes', '-days', '1', ...name, '-keyout', key, '-out', certificate],
      { stdio: 'ignore' },
    );
  } catch {
    // Not installed, or too old for -addext: the TLS measurements are skipped with a note.
    return undefined;
  }
  return { key, certificate };
}
