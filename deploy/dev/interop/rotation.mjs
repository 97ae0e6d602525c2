// The signing keys change while applications run. Those that remember the key set must not notice.

import assert from 'node:assert/strict';
import * as oidc from 'openid-client';
import * as oauth from 'oauth4webapi';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';

import { check } from './checks.mjs';
import { configure, signIn } from './openid-client-flow.mjs';
import { createClient, gatehouse, settings } from './operator.mjs';

const application = await createClient({});
const server = (await configure(application, oidc.ClientSecretBasic)).serverMetadata();
const published = async () => (await (await fetch(server.jwks_uri)).json()).keys;
const kid = (token) => decodeProtectedHeader(token).kid;
let first;

/** rotate has every key followed by the next one, and refreshes until both tokens come by another key. It returns the last answer. */
async function rotate(config, answer) {
  const old = [kid(answer.id_token), kid(answer.access_token)];
  await gatehouse(['keys', 'rotate']);
  const deadline = Date.now() + 20_000;
  let next = answer;
  while (old.includes(kid(next.id_token)) || old.includes(kid(next.access_token))) {
    assert.ok(Date.now() < deadline, 'no token is signed by another key within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 200));
    next = await oidc.refreshTokenGrant(config, next.refresh_token);
  }
  return next;
}

/** unnoticed rotates the keys under an application that fetches the key set for its first token only, and returns that sign-in. */
async function unnoticed() {
  const remembering = await configure(application, oidc.ClientSecretBasic); // verifies each ID token by the set that it fetches for the first one
  const remembered = createRemoteJWKSet(new URL(server.jwks_uri), { cooldownDuration: 3_600_000, cacheMaxAge: Infinity });
  const answer = await signIn(remembering);
  await jwtVerify(answer.id_token, remembered, { issuer: settings.issuer });
  const next = await rotate(remembering, answer);
  await jwtVerify(next.id_token, remembered, { issuer: settings.issuer });
  await jwtVerify(next.access_token, remembered, { issuer: settings.issuer, audience: settings.issuer });
  return answer;
}

await check('the first rotation on demand goes unnoticed by a client that remembers the key set', async () => {
  // A new server makes the next keys once its port is open.
  const deadline = Date.now() + 20_000;
  while ((await published()).length < 4) {
    assert.ok(Date.now() < deadline, 'the next keys are not published within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  first = await unnoticed();
});

await check('rotation on demand publishes the keys after the next ones', async () => {
  assert.equal((await published()).length, 6, 'of each algorithm one retired, one active and one next key');
});

await check('the next rotation goes unnoticed too', unnoticed);

await check('tokens of before', async () => {
  await jwtVerify(first.id_token, createRemoteJWKSet(new URL(server.jwks_uri)), { issuer: settings.issuer });
  const config = await configure(application, oidc.ClientSecretBasic), { sub } = first.claims();
  assert.equal((await oidc.fetchUserInfo(config, first.access_token, sub)).sub, sub);
  assert.equal((await oidc.tokenIntrospection(config, first.access_token)).active, true);
  const request = new Request(server.userinfo_endpoint, { headers: { authorization: `Bearer ${first.access_token}` } });
  await oauth.validateJwtAccessToken(server, request, settings.issuer, { [oauth.allowInsecureRequests]: settings.insecure });
});

await check('key set', async () => {
  const keys = await published();
  assert.equal(new Set(keys.map((key) => key.kid)).size, keys.length);
  for (const key of keys) assert.ok(key.kid && key.alg && key.use === 'sig' && !key.d && ['RSA', 'EC'].includes(key.kty));
  for (const token of [first.id_token, first.access_token]) assert.ok(keys.some((key) => key.kid === kid(token)), 'the retired key is gone');
});
