// openid-client 6: what a server may offer beyond the code flow. Each check demands that discovery advertises what it needs.

import assert from 'node:assert/strict';
import * as oidc from 'openid-client';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, jwtVerify } from 'jose';

import { Browser } from './browser.mjs';
import { check, checkOf, refused } from './checks.mjs';
import { ada, authorize, configure, request, signIn, tokens } from './openid-client-flow.mjs';
import { callback, createClient, settings } from './operator.mjs';
import { Party } from './party.mjs';

const basic = await configure(await createClient({}), oidc.ClientSecretBasic);
const server = basic.serverMetadata();
const party = await Party.start();
const has = (list, value) => server[list]?.includes(value) ?? false;
const execute = settings.insecure ? [oidc.allowInsecureRequests] : [];

async function keyPair(alg, kid) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { key: privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

await check('private_key_jwt with keys at jwks_uri', async () => {
  const pairs = [await keyPair('ES256', 'first'), await keyPair('RS256', 'second')];
  const client = await createClient({ token_endpoint_auth_method: 'private_key_jwt', jwks_uri: party.publishKeys(...pairs.map(({ jwk }) => jwk)) });
  for (const { key, jwk } of pairs) {
    const config = await configure(client, () => oidc.PrivateKeyJwt({ key, kid: jwk.kid }));
    assert.ok((await signIn(config)).claims().sub, jwk.kid);
  }
  assert.deepEqual(party.fetched, ['/jwks'], 'the keys are to be kept');
});

for (const alg of ['RS256', 'ES256']) {
  await checkOf(has('id_token_signing_alg_values_supported', alg), `ID token by ${alg}`, async () => {
    const config = await configure(await createClient({ id_token_signed_response_alg: alg }), oidc.ClientSecretBasic);
    assert.equal(decodeProtectedHeader((await signIn(config)).id_token).alg, alg);
  });
}

await checkOf(has('token_endpoint_auth_methods_supported', 'client_secret_jwt'), 'client_secret_jwt', async () => {
  const config = await configure(await createClient({ token_endpoint_auth_method: 'client_secret_jwt' }), oidc.ClientSecretJwt);
  const answer = await signIn(config);
  assert.equal((await oidc.tokenIntrospection(config, answer.access_token)).active, true);
});

await checkOf(server.registration_endpoint, 'dynamic registration and its management', async () => {
  const config = await oidc.dynamicClientRegistration(new URL(settings.issuer), { client_name: 'Registered', redirect_uris: [callback] }, undefined, { execute });
  const { registration_client_uri: uri, registration_access_token: token, ...metadata } = config.clientMetadata();
  assert.ok(metadata.client_secret && metadata.client_secret_expires_at === 0);
  assert.ok((await signIn(config, { scope: 'openid' })).claims().sub);
  const manage = (method, body) => fetch(uri, { method, body, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } });
  const read = await (await manage('GET')).json();
  assert.deepEqual([read.client_id, read.redirect_uris], [metadata.client_id, [callback]]);
  assert.equal((await manage('DELETE')).status, 204);
  assert.equal((await manage('GET')).status, 401);
  const gone = await refused(oidc.clientCredentialsGrant(config));
  assert.equal(gone.status, 401);
});

await checkOf(server.registration_endpoint, 'dynamic registration of a public client', async () => {
  const config = await oidc.dynamicClientRegistration(new URL(settings.issuer), {
    redirect_uris: [callback], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], scope: 'openid offline_access',
  }, oidc.None(), { execute });
  assert.equal(config.clientMetadata().client_secret, undefined);
  assert.ok((await signIn(config, { scope: 'openid offline_access', redirect_uri: 'http://127.0.0.1:51006/callback' })).refresh_token);
});

await checkOf(server.registration_endpoint, 'dynamic registration refuses by the right errors', async () => {
  const register = (metadata) => refused(oidc.dynamicClientRegistration(new URL(settings.issuer), metadata, undefined, { execute }));
  assert.equal((await register({ redirect_uris: ['https://app.example.com/#fragment'] })).error, 'invalid_redirect_uri');
  assert.equal((await register({ redirect_uris: [callback], token_endpoint_auth_method: 'telepathy' })).error, 'invalid_client_metadata');
});

await checkOf(server.pushed_authorization_request_endpoint, 'pushed request (PAR)', async () => {
  const { key, jwk } = await keyPair('ES256', 'one');
  const signer = await configure(await createClient({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] } }), () => oidc.PrivateKeyJwt({ key, kid: 'one' }));
  const open = await configure(await createClient({ token_endpoint_auth_method: 'none', require_pushed_authorization_requests: true }), oidc.None);
  for (const config of [basic, signer, open]) {
    const flow = await request();
    const url = await oidc.buildAuthorizationUrlWithPAR(config, flow.parameters);
    assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri']);
    assert.ok((await tokens(config, flow, await ada.arrive(url))).claims().sub);
  }
  const wrong = await request({ redirect_uri: `${callback}/other` });
  assert.equal((await refused(oidc.buildAuthorizationUrlWithPAR(basic, wrong.parameters))).error, 'invalid_request');
  assert.equal((await refused(signIn(open))).error, 'invalid_request');
});

for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']) {
  await checkOf(server.request_parameter_supported && has('request_object_signing_alg_values_supported', alg), `request object by ${alg} (JAR)`, async () => {
    const { key, jwk } = await keyPair(alg, 'one');
    const config = await configure(await createClient({ jwks: { keys: [jwk] }, request_object_signing_alg: alg, require_signed_request_object: true }), oidc.ClientSecretBasic);
    const named = alg === 'EdDSA' && { [oidc.modifyAssertion]: (header) => { header.alg = alg; } };
    const flow = await request({ max_age: '600', state: 'a+b c%20"\'<é>&=' });
    const url = await oidc.buildAuthorizationUrlWithJAR(config, flow.parameters, { key, kid: 'one' }, named || undefined);
    assert.ok((await tokens(config, flow, await ada.arrive(url))).claims().auth_time);
    assert.equal((await refused(signIn(config))).error, 'invalid_request');
  });
}

await checkOf(server.request_parameter_supported && server.pushed_authorization_request_endpoint, 'request object that is pushed', async () => {
  const { key, jwk } = await keyPair('ES256', 'one');
  const config = await configure(await createClient({ jwks: { keys: [jwk] } }), oidc.ClientSecretBasic);
  const flow = await request();
  const { searchParams } = await oidc.buildAuthorizationUrlWithJAR(config, flow.parameters, { key, kid: 'one' });
  assert.ok((await tokens(config, flow, await ada.arrive(await oidc.buildAuthorizationUrlWithPAR(config, searchParams)))).claims().sub);
});

for (const alg of ['RS256', 'ES256']) {
  await checkOf(has('userinfo_signing_alg_values_supported', alg), `userinfo signed by ${alg}`, async () => {
    const config = await configure(await createClient({ userinfo_signed_response_alg: alg }), oidc.ClientSecretBasic);
    const answer = await signIn(config);
    const info = await oidc.fetchUserInfo(config, answer.access_token, answer.claims().sub);
    assert.deepEqual([info.email, info.iss, info.aud], [settings.user, settings.issuer, config.clientMetadata().client_id]);
  });
}

/** compatible registers a client for a response type of the front channel. */
function compatible(responseType, ...grantTypes) {
  return createClient({ profile: 'compatible', grant_types: ['implicit', ...grantTypes], response_types: [responseType] });
}

for (const response_mode of ['fragment', 'form_post']) {
  await checkOf(has('response_types_supported', 'code id_token'), `code id_token by ${response_mode}`, async () => {
    const config = await configure(await compatible('code id_token', 'authorization_code'), oidc.ClientSecretBasic);
    oidc.useCodeIdTokenResponseType(config);
    const flow = await authorize(config, { response_mode });
    const { url, request: posted } = await ada.walk(flow.url);
    assert.ok((await tokens(config, flow, url ?? posted)).claims().sub);
  });

  await checkOf(has('response_types_supported', 'id_token'), `id_token by ${response_mode}`, async () => {
    const config = await configure(await compatible('id_token'), oidc.None);
    oidc.useIdTokenResponseType(config);
    const flow = await request({ response_mode, scope: 'openid email', code_challenge: '', code_challenge_method: '', max_age: '600' });
    const { url, request: posted } = await ada.walk(oidc.buildAuthorizationUrl(config, withoutEmpty(flow.parameters)));
    const claims = await oidc.implicitAuthentication(config, url ?? posted, flow.nonce, { expectedState: flow.state, maxAge: 600 });
    assert.equal(claims.email, settings.user, 'claims of scopes belong into an ID token that comes alone');
  });
}

function withoutEmpty(parameters) {
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== ''));
}

await checkOf(server.claims_parameter_supported, 'claims', async () => {
  const answer = await signIn(basic, { scope: 'openid', claims: JSON.stringify({ id_token: { email: null }, userinfo: { name: { essential: true } } }) });
  assert.equal(answer.claims().email, settings.user);
  const { name, email } = await oidc.fetchUserInfo(basic, answer.access_token, answer.claims().sub);
  assert.deepEqual([name, email], ['Ada Lovelace', undefined]);
});

await checkOf(has('subject_types_supported', 'pairwise'), 'pairwise subjects', async () => {
  const subjects = [];
  for (const host of ['one.example.com', 'two.example.com', 'two.example.com']) {
    const redirect_uri = `https://${host}/callback`;
    const config = await configure(await createClient({ subject_type: 'pairwise', redirect_uris: [redirect_uri] }), oidc.ClientSecretBasic);
    const answer = await signIn(config, { redirect_uri });
    const { sub } = answer.claims();
    assert.equal((await oidc.fetchUserInfo(config, answer.access_token, sub)).sub, sub);
    assert.equal((await oidc.tokenIntrospection(config, answer.access_token)).sub, sub);
    const silent = await signIn(config, { redirect_uri, prompt: 'none', id_token_hint: answer.id_token });
    assert.equal(silent.claims().sub, sub);
    subjects.push(sub);
  }
  assert.notEqual(subjects[0], subjects[1]);
  assert.equal(subjects[1], subjects[2]);
});

await checkOf(server.end_session_endpoint, 'logout by the client', async () => {
  const back = 'http://127.0.0.1/signed-out', state = 'a+b c%20"\'<é>&=', browser = new Browser();
  const config = await configure(await createClient({ post_logout_redirect_uris: [back] }), oidc.ClientSecretBasic);
  const online = await signIn(config, { scope: 'openid' }, {}, browser);
  const offline = await signIn(config, { scope: 'openid offline_access' }, {}, browser);
  const url = await browser.arrive(oidc.buildEndSessionUrl(config, { post_logout_redirect_uri: back, id_token_hint: online.id_token, state }));
  assert.deepEqual([...url.searchParams], [['state', state]]);
  assert.equal(url.origin + url.pathname, back);
  assert.equal((await refused(signIn(config, { prompt: 'none' }, {}, browser))).error, 'login_required');
  assert.equal((await oidc.tokenIntrospection(config, online.access_token)).active, false);
  assert.equal((await refused(oidc.refreshTokenGrant(config, online.refresh_token))).error, 'invalid_grant');
  assert.ok((await oidc.refreshTokenGrant(config, offline.refresh_token)).access_token);
});

await checkOf(server.end_session_endpoint, 'logout without a hint goes nowhere', async () => {
  const back = 'http://127.0.0.1/signed-out', browser = new Browser();
  const config = await configure(await createClient({ post_logout_redirect_uris: [back] }), oidc.ClientSecretBasic);
  await signIn(config, {}, {}, browser);
  const { page } = await browser.walk(oidc.buildEndSessionUrl(config, { post_logout_redirect_uri: back }));
  assert.equal(page.status, 200);
  assert.match(page.type, /^text\/html/);
});

await checkOf(server.backchannel_logout_supported, 'back-channel logout', async () => {
  const browser = new Browser();
  const client = await createClient({ backchannel_logout_uri: `${party.url}/logout?logout=backchannel`, backchannel_logout_session_required: true, post_logout_redirect_uris: [callback] });
  const config = await configure(client, oidc.ClientSecretBasic);
  const answer = await signIn(config, {}, {}, browser);
  const [{ path, type, params }] = await Promise.all([
    party.posted(), browser.arrive(oidc.buildEndSessionUrl(config, { post_logout_redirect_uri: callback, id_token_hint: answer.id_token })),
  ]);
  assert.deepEqual([path, type, [...params.keys()]], ['/logout?logout=backchannel', 'application/x-www-form-urlencoded', ['logout_token']]);
  const { payload, protectedHeader } = await jwtVerify(params.get('logout_token'), createRemoteJWKSet(new URL(server.jwks_uri)), {
    issuer: settings.issuer, audience: client.client_id, typ: 'logout+jwt', algorithms: [decodeProtectedHeader(answer.id_token).alg], requiredClaims: ['iat', 'exp', 'jti', 'events', 'sid', 'sub'],
  });
  assert.ok(protectedHeader.kid);
  assert.deepEqual(payload.events, { 'http://schemas.openid.net/event/backchannel-logout': {} });
  const { sid, sub } = decodeJwt(answer.id_token);
  assert.deepEqual([payload.sid, payload.sub, payload.nonce], [sid, sub, undefined]);
});

party.close();
