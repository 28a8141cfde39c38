/**
 * TLS before the storage, with some connections broken: never begun, answered with something else than TLS, shown
 * a certificate that nobody has vouched for, or torn in the middle of a record.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Random } from '../../functions/time.ts';
import type { Front } from '../../local/neighbours.ts';

/** Paths of PEM files. */
interface Certificate {
  key: string;
  certificate: string;
}

export interface Certificates {
  /** Which the archiver trusts. */
  trusted: Certificate;
  /** Of the same name, by nobody whom the archiver knows. */
  untrusted: Certificate;
}

const refusals = ['closed', 'no TLS', 'untrusted certificate'] as const;
/** Share of the connections that each of them takes. */
const refusedShare = 0.03;
/** All others are torn before so many bytes have come, in the middle of a record as likely as not. */
const longestLife = 2_000_000;

/** @param counts kind of fault → how often; counted on */
export async function openTlsFront(
  endpoint: string,
  { trusted, untrusted }: Certificates,
  random: Random,
  counts: Map<string, number>,
): Promise<Front> {
  const sockets = new Set<Socket>();
  /** Each ends with the other; errors are what this is about, and the other side learns of them by its own end. */
  const join = (one: Socket, other: Socket) => {
    for (const [socket, peer] of [
      [one, other],
      [other, one],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', (hadError) => {
        sockets.delete(socket);
        // What has come through regularly is passed on to its last byte.
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

  const good = await listening(terminator(trusted));
  const strange = await listening(terminator(untrusted));
  const front = await listening(
    createServer((client) => {
      const refusal = refusals[Math.floor(random() / refusedShare)];
      if (refusal) count(refusal);
      if (refusal === 'closed' || refusal === 'no TLS') {
        client.on('error', () => client.destroy());
        client.once('data', () => client.end(refusal === 'closed' ? '' : 'HTTP/1.1 400 Bad Request\r\n\r\n'));
        return;
      }
      const server = connect(portOf(refusal ? strange : good), '127.0.0.1');
      let left = Math.floor(random() * longestLife);
      server.on('data', (piece) => {
        left -= piece.length;
        if (left >= 0) return;
        count('torn');
        client.resetAndDestroy();
      });
      join(client, server);
    }),
  );
  return {
    origin: `https://127.0.0.1:${portOf(front)}`,
    close: async () => {
      const closed = [front, good, strange].map((server) => once(server, 'close'));
      for (const server of [front, good, strange]) server.close();
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

/** Throw-away certificates for 127.0.0.1; undefined where there is no `openssl` to make them. */
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
    // Not installed, or too old for -addext: downloads go over plain HTTP then, and the soak says so.
    return undefined;
  }
}
