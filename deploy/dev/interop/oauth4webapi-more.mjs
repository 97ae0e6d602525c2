// oauth4webapi 3: what a server may offer beyond the code flow. Each check demands that discovery advertises what it needs.

import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';

import { check, checkOf, refused } from './checks.mjs';
import { Application, options, server } from './oauth4webapi-flow.mjs';
import { callback, createClient, settings } from './operator.mjs';
import { Party } from './party.mjs';

const party = await Party.start();
const has = (list, value) => server[list]?.includes(value) ?? false;

async function keyPair(alg) {
  const { publicKey, privateKey } = await oauth.generateKeyPair(alg, { extractable: true });
  const jwk = await crypto.subtle.exportKey('jwk', publicKey);
  return { key: { key: privateKey, kid: 'one' }, jwks: { keys: [{ kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y, n: jwk.n, e: jwk.e, kid: 'one' }] } };
}

const register = (metadata, more) => oauth.dynamicClientRegistrationRequest(server, metadata, { ...options, ...more }).then(oauth.processDynamicClientRegistrationResponse);

await checkOf(server.registration_endpoint, 'dynamic registration', async () => {
  const { jwks, key } = await keyPair('ES256');
  for (const [metadata, authentication] of [
    [{ token_endpoint_auth_method: 'client_secret_basic' }, (client) => oauth.ClientSecretBasic(client.client_secret)],
    [{ token_endpoint_auth_method: 'client_secret_post' }, (client) => oauth.ClientSecretPost(client.client_secret)],
    [{ token_endpoint_auth_method: 'private_key_jwt', jwks }, () => oauth.PrivateKeyJwt(key)],
    [{ token_endpoint_auth_method: 'none' }, () => oauth.None()],
  ]) {
    const client = await register({ redirect_uris: [callback], ...metadata });
    assert.equal(client.token_endpoint_auth_method, metadata.token_endpoint_auth_method);
    const app = new Application(client, authentication(client));
    const tokens = await app.signIn({ scope: 'openid' });
    assert.ok(oauth.getValidatedIdTokenClaims(tokens).sub);
  }
  assert.equal((await refused(register({ redirect_uris: ['not a URI'] }))).error, 'invalid_redirect_uri');
});

await checkOf(server.registration_endpoint, 'dynamic registration as agents do it', async () => {
  const client = await register({
    client_name: 'Agent', redirect_uris: ['http://127.0.0.1/callback'], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'], scope: 'orders.read made.up', application_type: 'native',
  });
  const agent = new Application(client, oauth.None());
  const { resource } = settings;
  const tokens = await agent.signIn({ scope: 'orders.read', resource, redirect_uri: 'http://127.0.0.1:51007/callback', nonce: '' }, { resource });
  await agent.accept(tokens.access_token, resource);
  assert.ok((await agent.refresh(tokens.refresh_token, { resource })).access_token);
});

/** redeem sends the browser with the parameters and redeems what comes back by the code flow. */
async function redeem(app, flow, parameters) {
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({ client_id: app.client.client_id, ...parameters }).toString();
  const answer = oauth.validateAuthResponse(server, app.client, await app.browser.arrive(url), flow.parameters.state);
  return oauth.processAuthorizationCodeResponse(server, app.client, await app.redeem(flow, answer), { expectedNonce: flow.parameters.nonce, requireIdToken: true });
}

await checkOf(server.pushed_authorization_request_endpoint, 'pushed request (PAR)', async () => {
  const app = new Application(await createClient({}));
  const push = (parameters) => oauth.pushedAuthorizationRequest(server, app.client, app.authentication, parameters, options)
    .then((response) => oauth.processPushedAuthorizationResponse(server, app.client, response));
  const flow = await app.request();
  const pushed = await push(flow.parameters);
  assert.ok(pushed.expires_in > 0 && pushed.request_uri.startsWith('urn:ietf:params:oauth:request_uri:'));
  assert.ok((await redeem(app, flow, { request_uri: pushed.request_uri })).access_token);
  assert.equal((await refused(push({ ...flow.parameters, request_uri: pushed.request_uri }))).error, 'invalid_request');
  assert.equal((await refused(push({ ...flow.parameters, scope: 'openid root' }))).error, 'invalid_scope');
});

await checkOf(server.request_parameter_supported, 'request object (JAR)', async () => {
  const { jwks, key } = await keyPair('PS256');
  const app = new Application(await createClient({ jwks }));
  const flow = await app.request({ resource: undefined, max_age: '600' });
  const parameters = Object.fromEntries(Object.entries(flow.parameters).filter(([, value]) => value !== undefined));
  const request = await oauth.issueRequestObject(server, app.client, parameters, key);
  // What is outside of the object does not count (RFC 9101).
  assert.ok((await redeem(app, flow, { request, response_type: 'code', scope: 'openid', state: 'outside', nonce: 'outside' })).id_token);
  const [header, payload, signature] = request.split('.');
  const forged = [header, payload, signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))].join('.');
  const { url, page } = await app.browser.walk(`${server.authorization_endpoint}?${new URLSearchParams({ client_id: app.client.client_id, request: forged })}`);
  assert.ok(url?.searchParams.get('error') === 'invalid_request_object' || page?.status === 400);
});

await checkOf(server.request_uri_parameter_supported, 'request object by reference (JAR)', async () => {
  const { jwks, key } = await keyPair('ES256');
  const request_uri = `${party.url}/request#fragment`;
  const app = new Application(await createClient({ jwks, request_uris: [request_uri] }));
  const flow = await app.request();
  party.documents.set('/request', { type: 'application/oauth-authz-req+jwt', body: await oauth.issueRequestObject(server, app.client, flow.parameters, key) });
  assert.ok((await redeem(app, flow, { request_uri, response_type: 'code', scope: 'openid' })).id_token);
});

for (const alg of ['RS256', 'ES256']) {
  await checkOf(has('userinfo_signing_alg_values_supported', alg), `userinfo signed by ${alg}`, async () => {
    const app = new Application(await createClient({ userinfo_signed_response_alg: alg }));
    const tokens = await app.signIn();
    const response = await oauth.userInfoRequest(server, app.client, tokens.access_token, options);
    const info = await oauth.processUserInfoResponse(server, app.client, oauth.getValidatedIdTokenClaims(tokens).sub, response);
    await oauth.validateApplicationLevelSignature(server, response, options);
    assert.equal(info.email, settings.user);
  });
}

await checkOf(has('token_endpoint_auth_methods_supported', 'client_secret_jwt'), 'client_secret_jwt', async () => {
  const client = await createClient({ token_endpoint_auth_method: 'client_secret_jwt' });
  const app = new Application(client, oauth.ClientSecretJwt(client.client_secret));
  const tokens = await app.signIn();
  assert.equal((await app.introspect(tokens.access_token)).active, true);
  const stranger = new Application(client, oauth.ClientSecretJwt('gth_cs_wrong'));
  assert.equal((await refused(stranger.refresh(tokens.refresh_token))).status, 401);
});

await checkOf(has('response_types_supported', 'code id_token'), 'code id_token', async () => {
  const app = new Application(await createClient({ profile: 'compatible', grant_types: ['authorization_code', 'implicit'], response_types: ['code id_token'] }));
  const flow = await app.request({ response_type: 'code id_token', max_age: '600' });
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams(flow.parameters).toString();
  const { nonce, state } = flow.parameters;
  const answer = await oauth.validateCodeIdTokenResponse(server, app.client, await app.browser.arrive(url), nonce, state, 600, options);
  const tokens = await oauth.processAuthorizationCodeResponse(server, app.client, await app.redeem(flow, answer), { expectedNonce: nonce, requireIdToken: true, maxAge: 600 });
  assert.ok(oauth.getValidatedIdTokenClaims(tokens).sub);
});

await check('errors of the front channel come in the fragment for front-channel response types only', async () => {
  const app = new Application(await createClient({}));
  const flow = await app.request({ scope: 'openid root' });
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams(flow.parameters).toString();
  const arrived = await app.browser.arrive(url);
  assert.equal(arrived.hash, '');
  assert.equal(arrived.searchParams.get('error'), 'invalid_scope');
});

party.close();
