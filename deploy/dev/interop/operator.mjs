// The server's operator: clients and keys, by the command line of the server under test.

import { spawn } from 'node:child_process';

export const settings = {
  issuer: process.env.INTEROP_ISSUER,
  bin: process.env.INTEROP_BIN,
  user: process.env.INTEROP_USER,
  password: process.env.INTEROP_PASSWORD,
  resource: process.env.INTEROP_RESOURCE,
  cert: process.env.INTEROP_CERT,
  key: process.env.INTEROP_KEY,
  insecure: process.env.INTEROP_ISSUER.startsWith('http:'),
};

export const callback = 'http://127.0.0.1/callback';

/** gatehouse runs a command and returns what it prints. A warning that metadata mean nothing to the server is an error. */
export function gatehouse(args, stdin = '') {
  return new Promise((resolve, reject) => {
    const child = spawn(settings.bin, [...args, '--format', 'json'], { stdio: 'pipe' });
    let out = '', err = '';
    child.stdout.on('data', (data) => { out += data; });
    child.stderr.on('data', (data) => { err += data; });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) reject(new Error(`gatehouse ${args.join(' ')}: ${err}`));
      else if (err.includes('mean nothing here')) reject(new Error(err.trim()));
      else resolve(JSON.parse(out));
    });
    child.stdin.end(stdin);
  });
}

/** createClient registers a client from RFC 7591 metadata and returns what the command prints of it, client_id and client_secret too. */
export function createClient(metadata) {
  return gatehouse(['client', 'create', '-f', '-'], JSON.stringify({
    client_name: 'Interop',
    redirect_uris: [callback],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    scope: 'openid profile email address phone offline_access',
    ...metadata,
  }));
}

/** createService registers a client that acts for itself. */
export function createService(metadata) {
  return createClient({ redirect_uris: undefined, response_types: undefined, grant_types: ['client_credentials'], scope: 'orders.read orders.write', ...metadata });
}
