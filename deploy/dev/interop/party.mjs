// What a relying party serves to the server: its keys, its request objects, and the place where logout tokens arrive. It has a certificate of the test's CA.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

import { settings } from './operator.mjs';

export class Party {
  /** documents are served by path: {type, body}. */
  documents = new Map();
  /** fetched lists the paths that were asked for. */
  fetched = [];
  #waiting = [];

  static async start() {
    const party = new Party();
    party.server = createServer({ cert: readFileSync(settings.cert), key: readFileSync(settings.key) }, (request, response) => party.#serve(request, response));
    party.server.listen(0, '127.0.0.1');
    await once(party.server, 'listening');
    party.url = `https://localhost:${party.server.address().port}`;
    return party;
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }

  publishKeys(...keys) {
    this.documents.set('/jwks', { type: 'application/json', body: JSON.stringify({ keys }) });
    return `${this.url}/jwks`;
  }

  /** posted resolves with the next request that is posted: {path, type, params}. */
  posted() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('nothing was posted within 15 s')), 15_000);
      this.#waiting.push((request) => { clearTimeout(timer); resolve(request); });
    });
  }

  async #serve(request, response) {
    if (request.method === 'POST') {
      let body = '';
      for await (const chunk of request) body += chunk;
      this.#waiting.shift()?.({ path: request.url, type: request.headers['content-type'], params: new URLSearchParams(body) });
      response.writeHead(204).end();
      return;
    }
    this.fetched.push(request.url);
    const document = this.documents.get(request.url);
    if (document) response.writeHead(200, { 'content-type': document.type }).end(document.body);
    else response.writeHead(404).end();
  }
}
