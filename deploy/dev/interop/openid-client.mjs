// openid-client 6: what every server must do for it.

import assert from 'node:assert/strict';
import * as oidc from 'openid-client';
import { exportJWK, generateKeyPair } from 'jose';

import { Browser } from './browser.mjs';
import { check, checkOf, refused } from './checks.mjs';
import { ada, authorize, configure, signIn, tokens } from './openid-client-flow.mjs';
import { callback, createClient, createService, settings } from './operator.mjs';

const basic = await configure(await createClient({ token_endpoint_auth_method: 'client_secret_basic' }), oidc.ClientSecretBasic);

const algorithms = basic.serverMetadata().token_endpoint_auth_signing_alg_values_supported;

await check('discovery', async () => {
  const server = basic.serverMetadata();
  assert.equal(server.issuer, settings.issuer);
  assert.equal(server.supportsPKCE(), true);
  assert.equal(server.authorization_response_iss_parameter_supported, true);
});

await check('discovery as an OAuth 2.0 server (RFC 8414)', async () => {
  const config = await configure({ client_id: basic.clientMetadata().client_id, client_secret: 'unused' }, oidc.ClientSecretBasic, { algorithm: 'oauth2' });
  assert.deepEqual(config.serverMetadata(), basic.serverMetadata());
});

await check('code by client_secret_basic', async () => {
  const answer = await signIn(basic, { state: 'a+b c%20"\'<é>&=' });
  const claims = answer.claims();
  assert.equal(claims.iss, settings.issuer);
  assert.equal(claims.aud, basic.clientMetadata().client_id);
  assert.equal(answer.token_type, 'bearer');
  assert.ok(answer.expiresIn() > 0 && answer.refresh_token);
});

await check('code by client_secret_post', async () => {
  const config = await configure(await createClient({ token_endpoint_auth_method: 'client_secret_post' }), oidc.ClientSecretPost);
  assert.ok((await signIn(config)).claims().sub);
});

await check('secret in the other place', async () => {
  const client = await createClient({ token_endpoint_auth_method: 'client_secret_basic' });
  assert.ok((await signIn(await configure(client, oidc.ClientSecretPost))).claims().sub);
});

for (const alg of ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519']) {
  await checkOf(algorithms.includes(alg), `code by private_key_jwt with ${alg}`, async () => {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    const keys = [{ ...(await exportJWK(publicKey)), kid: 'one', alg }];
    const client = await createClient({ token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: alg, jwks: { keys } });
    // The library calls EdDSA by its newer name Ed25519 (RFC 9864) unless told otherwise.
    const named = alg === 'EdDSA' && { [oidc.modifyAssertion]: (header) => { header.alg = alg; } };
    const config = await configure(client, () => oidc.PrivateKeyJwt({ key: privateKey, kid: 'one' }, named || undefined));
    const answer = await signIn(config);
    assert.equal((await oidc.tokenIntrospection(config, answer.access_token)).active, true);
    await oidc.tokenRevocation(config, answer.refresh_token);
    assert.equal((await refused(oidc.refreshTokenGrant(config, answer.refresh_token))).error, 'invalid_grant');
  });
}

await check('private_key_jwt with a key without kid', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const client = await createClient({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [await exportJWK(publicKey)] } });
  assert.ok((await signIn(await configure(client, () => oidc.PrivateKeyJwt(privateKey)))).claims().sub);
});

await check('public client on a loopback port', async () => {
  const config = await configure(await createClient({ token_endpoint_auth_method: 'none' }), oidc.None);
  const answer = await signIn(config, { redirect_uri: 'http://127.0.0.1:51004/callback' });
  const next = await oidc.refreshTokenGrant(config, answer.refresh_token);
  await oidc.tokenRevocation(config, next.refresh_token);
  assert.equal((await refused(oidc.refreshTokenGrant(config, next.refresh_token))).error, 'invalid_grant');
});

await check('no PKCE, with a nonce, for a compatible client', async () => {
  const config = await configure(await createClient({ profile: 'compatible' }), oidc.ClientSecretBasic);
  const nonce = oidc.randomNonce(), state = oidc.randomState();
  const url = await ada.arrive(oidc.buildAuthorizationUrl(config, { redirect_uri: callback, scope: 'openid', nonce, state }));
  assert.ok((await oidc.authorizationCodeGrant(config, url, { expectedNonce: nonce, expectedState: state })).claims());
});

await check('form_post', async () => {
  const flow = await authorize(basic, { response_mode: 'form_post', state: 'a+b c%20"\'<é>&=' });
  const { request } = await ada.walk(flow.url);
  assert.ok((await tokens(basic, flow, request)).claims().sub);
});

await check('callback without iss is refused by the client', async () => {
  const flow = await authorize(basic);
  const url = await ada.arrive(flow.url);
  url.searchParams.delete('iss');
  await refused(tokens(basic, flow, url));
});

await check('userinfo', async () => {
  const answer = await signIn(basic, { scope: 'openid profile email phone address' });
  const { sub } = answer.claims();
  const info = await oidc.fetchUserInfo(basic, answer.access_token, sub);
  assert.equal(info.email, settings.user);
  assert.equal(info.email_verified, true);
  assert.equal(info.address.country, 'GB');
  await refused(oidc.fetchUserInfo(basic, answer.access_token, `${sub}x`));
  const wrong = await refused(oidc.fetchUserInfo(basic, `${answer.access_token}x`, sub));
  assert.equal(wrong.cause[0].parameters.error, 'invalid_token');
});

await check('refresh', async () => {
  const scope = 'openid profile email offline_access';
  const answer = await signIn(basic, { scope });
  const whole = await oidc.refreshTokenGrant(basic, answer.refresh_token, { scope });
  assert.notEqual(whole.refresh_token, answer.refresh_token);
  assert.notEqual(whole.access_token, answer.access_token);
  assert.equal(whole.claims().sub, answer.claims().sub);
  assert.deepEqual(new Set(whole.scope.split(' ')), new Set(scope.split(' ')));
  const narrow = await oidc.refreshTokenGrant(basic, whole.refresh_token, { scope: 'openid email' });
  const { name } = await oidc.fetchUserInfo(basic, narrow.access_token, answer.claims().sub);
  assert.equal(name, undefined);
  assert.equal((await refused(oidc.refreshTokenGrant(basic, narrow.refresh_token, { scope: `${scope} phone` }))).error, 'invalid_scope');
});

await check('introspection', async () => {
  const answer = await signIn(basic);
  const seen = await oidc.tokenIntrospection(basic, answer.access_token);
  assert.equal(seen.active, true);
  assert.equal(seen.sub, answer.claims().sub);
  assert.equal(seen.client_id, basic.clientMetadata().client_id);
  assert.equal((await oidc.tokenIntrospection(basic, answer.refresh_token, { token_type_hint: 'refresh_token' })).active, true);
  assert.equal((await oidc.tokenIntrospection(basic, 'nothing')).active, false);
});

await check('revocation', async () => {
  const answer = await signIn(basic);
  await oidc.tokenRevocation(basic, answer.access_token);
  assert.equal((await oidc.tokenIntrospection(basic, answer.access_token)).active, false);
  await refused(oidc.fetchUserInfo(basic, answer.access_token, answer.claims().sub));
  const next = await oidc.refreshTokenGrant(basic, answer.refresh_token);
  await oidc.tokenRevocation(basic, next.refresh_token, { token_type_hint: 'refresh_token' });
  assert.equal((await oidc.tokenIntrospection(basic, next.access_token)).active, false);
  assert.equal((await refused(oidc.refreshTokenGrant(basic, next.refresh_token))).error, 'invalid_grant');
  await oidc.tokenRevocation(basic, 'nothing');
});

await check('client credentials for a resource', async () => {
  const config = await configure(await createService({ audience: [settings.resource] }), oidc.ClientSecretBasic);
  const answer = await oidc.clientCredentialsGrant(config, { scope: 'orders.read', resource: settings.resource });
  assert.equal(answer.scope, 'orders.read');
  assert.equal(answer.refresh_token, undefined);
  const seen = await oidc.tokenIntrospection(config, answer.access_token);
  assert.deepEqual([seen.aud].flat(), [settings.resource]);
  assert.equal((await refused(oidc.clientCredentialsGrant(config, { resource: 'https://other.example.com' }))).error, 'invalid_target');
});

await check('code and refresh for a resource', async () => {
  const config = await configure(await createClient({ audience: [settings.resource], scope: 'openid offline_access orders.read' }), oidc.ClientSecretBasic);
  const answer = await signIn(config, { scope: 'openid offline_access orders.read', resource: settings.resource }, { resource: settings.resource });
  const next = await oidc.refreshTokenGrant(config, answer.refresh_token, { resource: settings.resource });
  for (const { access_token } of [answer, next]) {
    const seen = await oidc.tokenIntrospection(config, access_token);
    assert.deepEqual([seen.aud].flat(), [settings.resource]);
  }
});

await check('prompt=none', async () => {
  const browser = new Browser();
  const config = await configure(await createClient({}), oidc.ClientSecretBasic);
  const failure = async (parameters) => (await refused(signIn(config, { prompt: 'none', ...parameters }, {}, browser))).error;
  assert.equal(await failure(), 'login_required');
  await signIn(basic, {}, {}, browser);
  assert.equal(await failure(), 'consent_required');
  const answer = await signIn(config, {}, {}, browser);
  assert.equal(await failure({ max_age: '0' }), 'login_required');
  browser.shown = [];
  const silent = await signIn(config, { prompt: 'none', id_token_hint: answer.id_token }, {}, browser);
  assert.equal(silent.claims().sub, answer.claims().sub);
  assert.deepEqual(browser.shown, []);
});

for (const again of [{ prompt: 'login' }, { max_age: '0' }]) {
  await check(`${Object.entries(again)[0].join('=')} asks for a new sign-in`, async () => {
    const browser = new Browser();
    const first = await signIn(basic, { max_age: '600' }, {}, browser);
    // auth_time counts in seconds.
    while (Math.floor(Date.now() / 1000) <= first.claims().auth_time) await new Promise((resolve) => setTimeout(resolve, 20));
    browser.shown = [];
    const second = await signIn(basic, again, {}, browser);
    assert.deepEqual(browser.shown, ['login']);
    assert.ok(second.claims().auth_time > first.claims().auth_time);
  });
}

await check('user denies', async () => {
  const browser = new Browser();
  browser.decision = 'deny';
  const config = await configure(await createClient({}), oidc.ClientSecretBasic);
  const error = await refused(signIn(config, {}, {}, browser));
  assert.equal(error.constructor, oidc.AuthorizationResponseError);
  assert.equal(error.error, 'access_denied');
});

await check('errors of the authorization endpoint', async () => {
  const { page } = await ada.walk((await authorize(basic, { redirect_uri: `${callback}/other` })).url);
  assert.equal(page.status, 400);
  assert.match(page.type, /^text\/html/);
  assert.equal((await refused(signIn(basic, { scope: 'openid root' }))).error, 'invalid_scope');
  assert.equal((await refused(signIn(basic, { response_mode: 'telepathy' }))).error, 'invalid_request');
});

await check('errors of the token endpoint', async () => {
  const flow = await authorize(basic);
  const url = await ada.arrive(flow.url);
  const wrong = await configure({ ...basic.clientMetadata(), client_secret: 'wrong' }, oidc.ClientSecretBasic);
  const challenge = await refused(tokens(wrong, flow, url));
  assert.equal(challenge.constructor, oidc.WWWAuthenticateChallengeError);
  assert.equal(challenge.status, 401);
  assert.equal(challenge.cause[0].scheme, 'basic');
  assert.ok(await tokens(basic, flow, url), 'a wrong secret must not burn the code');
  const used = await refused(tokens(basic, flow, url));
  assert.equal(used.constructor, oidc.ResponseBodyError);
  assert.equal(used.error, 'invalid_grant');
  const other = await authorize(basic);
  const verifier = await refused(tokens(basic, { ...other, verifier: oidc.randomPKCECodeVerifier() }, await ada.arrive(other.url)));
  assert.equal(verifier.error, 'invalid_grant');
});
