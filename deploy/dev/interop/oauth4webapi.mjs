// oauth4webapi 3: the strictest reader of what a server sends.

import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';

import { Browser } from './browser.mjs';
import { check, refused } from './checks.mjs';
import { Application, options, server } from './oauth4webapi-flow.mjs';
import { callback, createClient, createService, settings } from './operator.mjs';

const app = new Application(await createClient({}));
const claims = (tokens) => oauth.getValidatedIdTokenClaims(tokens);

await check('discovery', async () => {
  assert.equal(server.issuer, settings.issuer);
  const plain = await oauth.processDiscoveryResponse(new URL(settings.issuer), await oauth.discoveryRequest(new URL(settings.issuer), { ...options, algorithm: 'oauth2' }));
  assert.deepEqual(plain, server);
});

await check('code by client_secret_basic', async () => {
  const tokens = await app.signIn({ state: 'a+b c%20"\'<é>&=', nonce: 'n+o n%20"\'<é>&=' });
  assert.equal(claims(tokens).iss, settings.issuer);
  assert.ok(tokens.expires_in > 0 && tokens.refresh_token);
});

await check('code by client_secret_post', async () => {
  const client = await createClient({ token_endpoint_auth_method: 'client_secret_post' });
  assert.ok(claims(await new Application(client, oauth.ClientSecretPost(client.client_secret)).signIn()).sub);
});

await check('code by private_key_jwt', async () => {
  const { publicKey, privateKey } = await oauth.generateKeyPair('ES256', { extractable: true });
  const jwk = await crypto.subtle.exportKey('jwk', publicKey);
  const signer = new Application(await createClient({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [{ ...jwk, kid: 'one' }] } }), oauth.PrivateKeyJwt({ key: privateKey, kid: 'one' }));
  const tokens = await signer.signIn();
  assert.equal((await signer.introspect(tokens.access_token)).active, true);
  await oauth.processRevocationResponse(await signer.revoke(tokens.refresh_token));
  assert.equal((await refused(signer.refresh(tokens.refresh_token))).error, 'invalid_grant');
});

await check('assertion for the token endpoint', async () => {
  const { publicKey, privateKey } = await oauth.generateKeyPair('PS256', { extractable: true });
  const jwk = await crypto.subtle.exportKey('jwk', publicKey);
  const audience = { [oauth.modifyAssertion]: (_, payload) => { payload.aud = server.token_endpoint; } };
  const signer = new Application(await createClient({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] } }), oauth.PrivateKeyJwt(privateKey, audience));
  assert.ok(claims(await signer.signIn()).sub);
});

await check('public client', async () => {
  const open = new Application(await createClient({ token_endpoint_auth_method: 'none' }), oauth.None());
  const tokens = await open.signIn({ redirect_uri: 'http://127.0.0.1:51005/callback' });
  assert.ok((await open.refresh(tokens.refresh_token)).refresh_token);
  const flow = await open.request({ code_challenge: '' });
  assert.equal((await refused(open.answer(flow))).error, 'invalid_request');
});

await check('iss in errors', async () => {
  const flow = await app.request({ prompt: 'none', max_age: '0' });
  const error = await refused(app.answer(flow));
  assert.equal(error.constructor, oauth.AuthorizationResponseError);
  assert.equal(error.error, 'login_required');
  assert.equal(error.cause.get('iss'), settings.issuer);
});

await check('form_post', async () => {
  const flow = await app.request({ response_mode: 'form_post' });
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams(flow.parameters).toString();
  const { request } = await app.browser.walk(url);
  const answer = oauth.validateAuthResponse(server, app.client, new URLSearchParams(await request.text()), flow.parameters.state);
  await oauth.processAuthorizationCodeResponse(server, app.client, await app.redeem(flow, answer), { expectedNonce: flow.parameters.nonce, requireIdToken: true });
});

await check('userinfo', async () => {
  const tokens = await app.signIn();
  const info = await app.userinfo(tokens.access_token, claims(tokens).sub);
  assert.equal(info.email, settings.user);
  await refused(app.userinfo(tokens.access_token, 'somebody else'));
  const wrong = await refused(app.userinfo('nonsense', claims(tokens).sub));
  assert.equal(wrong.constructor, oauth.WWWAuthenticateChallengeError);
  assert.equal(wrong.cause[0].parameters.error, 'invalid_token');
});

await check('access token (RFC 9068)', async () => {
  const seen = await app.accept((await app.signIn()).access_token, settings.issuer);
  assert.equal(seen.client_id, app.client.client_id);
  assert.ok(seen.jti && seen.sub && seen.auth_time);
  await refused(app.accept((await app.signIn()).access_token, 'https://other.example.com'));
});

await check('access token for a resource (RFC 8707, RFC 9068)', async () => {
  const { resource } = settings, scope = 'openid offline_access orders.read';
  const buyer = new Application(await createClient({ audience: [resource], scope }));
  const tokens = await buyer.signIn({ scope, resource }, { resource });
  const next = await buyer.refresh(tokens.refresh_token, { resource });
  for (const { access_token } of [tokens, next]) assert.equal((await buyer.accept(access_token, resource)).scope, 'orders.read');
  const bare = await buyer.request({ scope, resource: 'https://other.example.com' });
  assert.equal((await refused(buyer.answer(bare))).error, 'invalid_target');
});

await check('client credentials (RFC 9068)', async () => {
  const service = new Application(await createService({ audience: [settings.resource] }));
  const grant = (parameters) => oauth.clientCredentialsGrantRequest(server, service.client, service.authentication, parameters, options)
    .then((response) => oauth.processClientCredentialsResponse(server, service.client, response));
  const tokens = await grant({ scope: 'orders.read', resource: settings.resource });
  const seen = await service.accept(tokens.access_token, settings.resource);
  assert.equal(seen.sub, service.client.client_id);
  assert.equal(seen.scope, 'orders.read');
  assert.equal((await refused(grant({ scope: 'root' }))).error, 'invalid_scope');
});

await check('refresh', async () => {
  const scope = 'openid profile email offline_access';
  const tokens = await app.signIn({ scope });
  const next = await app.refresh(tokens.refresh_token, { scope });
  assert.notEqual(next.refresh_token, tokens.refresh_token);
  assert.equal(claims(next).sub, claims(tokens).sub);
  assert.equal(claims(next).auth_time, claims(tokens).auth_time);
  // A repeated use within the grace gets the same successor: the answer may have been lost.
  assert.equal((await app.refresh(tokens.refresh_token)).refresh_token, next.refresh_token);
  assert.ok((await app.refresh(next.refresh_token)).access_token);
  assert.equal((await refused(app.refresh(tokens.refresh_token))).error, 'invalid_grant');
});

await check('refresh without openid', async () => {
  const { resource } = settings;
  const agent = new Application(await createClient({ audience: [resource], scope: 'orders.read', token_endpoint_auth_method: 'none' }), oauth.None());
  const tokens = await agent.signIn({ scope: 'orders.read', resource, nonce: '' }, { resource });
  assert.equal(tokens.id_token, undefined);
  assert.ok((await agent.refresh(tokens.refresh_token)).access_token);
});

await check('introspection', async () => {
  const tokens = await app.signIn();
  const seen = await app.introspect(tokens.access_token);
  assert.deepEqual([seen.active, seen.iss, seen.client_id], [true, settings.issuer, app.client.client_id]);
  assert.deepEqual(await app.introspect('nothing'), { active: false });
});

await check('revocation answers nothing, and says so', async () => {
  const tokens = await app.signIn();
  for (const token of [tokens.access_token, tokens.refresh_token, 'nothing']) {
    const response = await app.revoke(token);
    assert.equal(response.headers.get('content-type'), null);
    assert.equal(await response.clone().text(), '');
    await oauth.processRevocationResponse(response);
  }
  assert.equal((await app.introspect(tokens.access_token)).active, false);
  assert.equal((await refused(app.refresh(tokens.refresh_token))).error, 'invalid_grant');
});

await check('max_age', async () => {
  const fresh = new Application(app.client, app.authentication);
  const tokens = await fresh.signIn({ max_age: '600' });
  assert.ok(claims(tokens).auth_time >= Date.now() / 1000 - 60);
});

await check('prompt', async () => {
  const { browser } = app;
  for (const [prompt, pages] of [['login', ['login']], ['consent', ['consent']], ['login consent', ['login', 'consent']], ['none', []]]) {
    browser.shown = [];
    assert.ok(claims(await app.signIn({ prompt })).sub);
    assert.deepEqual(browser.shown, pages, prompt);
  }
});

await check('errors of the token endpoint', async () => {
  const flow = await app.request();
  const answer = await app.answer(flow);
  const process = (response) => oauth.processAuthorizationCodeResponse(server, app.client, response, { expectedNonce: flow.parameters.nonce });
  const stranger = new Application(app.client, oauth.ClientSecretBasic('wrong'));
  const challenge = await refused(stranger.redeem(flow, answer).then(process));
  assert.deepEqual([challenge.status, challenge.cause[0].scheme], [401, 'basic']);
  const posting = await refused(new Application(app.client, oauth.ClientSecretPost('wrong')).redeem(flow, answer).then(process));
  assert.equal(posting.error ?? (await posting.response.json()).error, 'invalid_client');
  await process(await app.redeem(flow, answer));
  const again = await refused(app.redeem(flow, answer).then(process));
  assert.deepEqual([again.constructor, again.error, again.status], [oauth.ResponseBodyError, 'invalid_grant', 400]);
  const other = await app.request();
  const elsewhere = { ...other, parameters: { ...other.parameters, redirect_uri: `${callback}/other` } };
  assert.equal((await refused(app.redeem(elsewhere, await app.answer(other)).then(process))).error, 'invalid_grant');
});

await check('a redirect_uri that is not registered gets a page', async () => {
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams((await app.request({ redirect_uri: 'http://127.0.0.1/other' })).parameters).toString();
  assert.equal((await new Browser().walk(url)).page.status, 400);
});
