// An OpenID Provider to sign in with: node-oidc-provider on a loopback port, with one client and people who need no password.
//
//   node upstream.mjs REDIRECT_URI
//
// prints {issuer, client_id, client_secret} on one line and runs until it is stopped. The client is Gatehouse: where it hears of sign-outs and where browsers return to after one
// lies beside its redirect URI.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const redirectURI = process.argv[2];
const client = { client_id: 'gatehouse', client_secret: randomBytes(24).toString('base64url') };

const people = {
  ada: { email: 'ada@upstream.example', email_verified: true, name: 'Ada Lovelace', preferred_username: 'ada', groups: ['staff', 'ops'] },
  grace: { email: 'grace@upstream.example', email_verified: false, name: 'Grace Hopper', preferred_username: 'grace', groups: ['staff'] },
};

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    ...client,
    redirect_uris: [redirectURI],
    post_logout_redirect_uris: [new URL('signed-out', redirectURI).href],
    backchannel_logout_uri: new URL('logout', redirectURI).href,
    backchannel_logout_session_required: true,
    id_token_signed_response_alg: 'RS256',
    require_auth_time: true,
  }],
  jwks: { keys: [{ ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), kid: 'key-1', alg: 'RS256', use: 'sig' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  claims: { openid: ['sub', 'sid'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username', 'groups'] },
  findAccount: (ctx, sub) => people[sub] && { accountId: sub, claims: () => ({ sub, ...people[sub] }) },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      logoutSource: (ctx, form) => { ctx.body = page(`${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`); },
      postLogoutSuccessSource: (ctx) => { ctx.body = page('Signed out'); },
    },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  // Nobody is asked for consent.
  async loadExistingGrant(ctx) {
    const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope(ctx.oidc.requestParamOIDCScopes.size ? [...ctx.oidc.requestParamOIDCScopes].join(' ') : 'openid');
    await grant.save();
    return grant;
  },
  pkce: { required: () => true },
  // Without the library's own dispatcher, which refuses loopback addresses: logout tokens go to one.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, Session: 3600 },
});

function page(content) {
  return `<!DOCTYPE html><title>Upstream</title>${content}`;
}

async function interact(request, response) {
  if (request.method === 'GET') {
    const { prompt, params } = await provider.interactionDetails(request, response);
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page(`<form id="login" method="post"><input type="hidden" name="reasons" value="${prompt.reasons.join(' ')}">
      <input name="username" value="${(params.login_hint ?? '').replace(/[^\w@.-]/g, '')}"><button>Sign in</button></form>`));
    return;
  }
  let body = '';
  for await (const chunk of request) body += chunk;
  const accountId = new URLSearchParams(body).get('username');
  const result = people[accountId] ? { login: { accountId } } : { error: 'access_denied', error_description: 'There is no such person.' };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const callback = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) {
    callback(request, response);
    return;
  }
  interact(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
provider.on('server_error', (ctx, error) => console.error(error));
for (const event of ['backchannel.error', 'grant.error', 'authorization.error', 'userinfo.error', 'end_session.error']) {
  provider.on(event, (ctx, error) => console.error(event, error.error_description ?? error));
}

console.log(JSON.stringify({ issuer, ...client }));
