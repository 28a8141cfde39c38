/**
 * A TLS proxy in front of the storage that breaks some connections: closes them, responds without TLS, presents an
 * untrusted certificate, or resets them in the middle of a TLS record.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Random } from '../../functions/time.ts';
import type { ServiceProxy } from '../../local/services.ts';

/** Paths of PEM files. */
interface Certificate {
  key: string;
  certificate: string;
}

export interface Certificates {
  /** The archiver trusts it. */
  trusted: Certificate;
  /** For the same address, but the archiver does not trust it. */
  untrusted: Certificate;
}

const refusals = ['closed', 'no TLS', 'untrusted certificate'] as const;
/** Share of the connections for each kind of refusal. */
const refusedShare = 0.03;
/** All other connections are reset after a random number of bytes below this, often in the middle of a record. */
const maxBytesBeforeReset = 2_000_000;

/** @param counts number of faults by kind; updated */
export async function openTlsProxy(
  endpoint: string,
  { trusted, untrusted }: Certificates,
  random: Random,
  counts: Map<string, number>,
): Promise<ServiceProxy> {
  const sockets = new Set<Socket>();
  /** When one socket ends, ends the other. Errors are expected: the peer sees them as the end of its own connection. */
  const join = (one: Socket, other: Socket) => {
    for (const [socket, peer] of [
      [one, other],
      [other, one],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', (hadError) => {
        sockets.delete(socket);
        // After a regular end, forward all remaining bytes.
        if (hadError) peer.destroy();
        else peer.destroySoon();
      });
    }
    one.pipe(other).pipe(one);
  };
  const count = (kind: string) => counts.set(`TLS ${kind}`, (counts.get(`TLS ${kind}`) ?? 0) + 1);
  const terminator = ({ key, certificate }: Certificate) =>
    createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (secure) => {
      join(secure, connect(Number(new URL(endpoint).port), '127.0.0.1'));
    });

  const trustedServer = await listening(terminator(trusted));
  const untrustedServer = await listening(terminator(untrusted));
  const proxy = await listening(
    createServer((client) => {
      const refusal = refusals[Math.floor(random() / refusedShare)];
      if (refusal) count(refusal);
      if (refusal === 'closed' || refusal === 'no TLS') {
        client.on('error', () => client.destroy());
        client.once('data', () => client.end(refusal === 'closed' ? '' : 'HTTP/1.1 400 Bad Request\r\n\r\n'));
        return;
      }
      const server = connect(portOf(refusal ? untrustedServer : trustedServer), '127.0.0.1');
      let left = Math.floor(random() * maxBytesBeforeReset);
      server.on('data', (piece) => {
        left -= piece.length;
        if (left >= 0) return;
        count('reset');
        client.resetAndDestroy();
      });
      join(client, server);
    }),
  );
  return {
    origin: `https://127.0.0.1:${portOf(proxy)}`,
    close: async () => {
      const closed = [proxy, trustedServer, untrustedServer].map((server) => once(server, 'close'));
      for (const server of [proxy, trustedServer, untrustedServer]) server.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

async function listening<S extends Server>(server: S): Promise<S> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** Creates temporary certificates for 127.0.0.1; returns undefined if `openssl` is not available. */
export function makeCertificates(directory: string): Certificates | undefined {
  const make = (name: string): Certificate => {
    const key = `${directory}/${name}.key.pem`;
    const certificate = `${directory}/${name}.pem`;
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync(
      'openssl',
      ['req', '-x509', ...curve, '-nodes', '-days', '2', ...subject, '-keyout', key, '-out', certificate],
      { stdio: 'ignore' },
    );
    return { key, certificate };
  };
  try {
    return { trusted: make('trusted'), untrusted: make('untrusted') };
  } catch {
    // Not installed, or too old for -addext: the soak then downloads over HTTP and says so.
    return undefined;
  }
}
