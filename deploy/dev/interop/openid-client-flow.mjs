// The code flow as an application on openid-client 6 writes it.

import * as oidc from 'openid-client';

import { Browser } from './browser.mjs';
import { callback, settings } from './operator.mjs';

/** configure discovers the server for a client; signatures of ID tokens are checked even where TLS would do, unless told otherwise. */
export async function configure(client, authentication, { signatures = true, ...options } = {}) {
  const config = await oidc.discovery(new URL(settings.issuer), client.client_id, metadataOf(client), authentication(client.client_secret), {
    ...options,
    execute: settings.insecure ? [oidc.allowInsecureRequests] : [],
  });
  if (signatures) oidc.enableNonRepudiationChecks(config);
  return config;
}

// What the library would misread as settings of its own stays out.
function metadataOf({ client_secret, id_token_signed_response_alg, userinfo_signed_response_alg }) {
  return { client_secret, id_token_signed_response_alg, userinfo_signed_response_alg };
}

/** request returns the parameters of an authorization request with PKCE, state and nonce, and what to expect of the answer. */
export async function request(parameters = {}) {
  const verifier = oidc.randomPKCECodeVerifier(), state = oidc.randomState(), nonce = oidc.randomNonce();
  const all = {
    redirect_uri: callback, scope: 'openid profile email offline_access', state, nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...parameters,
  };
  return { parameters: all, verifier, state: all.state, nonce, maxAge: all.max_age && Number(all.max_age) };
}

/** authorize is request with the URL that the browser is sent to. */
export async function authorize(config, parameters) {
  const flow = await request(parameters);
  return { ...flow, url: oidc.buildAuthorizationUrl(config, flow.parameters) };
}

/** tokens redeems the answer that reached the client, a URL or the Request of form_post. */
export function tokens(config, flow, answer, parameters) {
  return oidc.authorizationCodeGrant(config, answer, {
    pkceCodeVerifier: flow.verifier, expectedState: flow.state, expectedNonce: flow.nonce, maxAge: flow.maxAge, idTokenExpected: true,
  }, parameters);
}

/** ada is the browser of checks that do not care whether somebody is signed in already. */
export const ada = new Browser();

/** signIn is the whole flow. */
export async function signIn(config, parameters, tokenParameters, browser = ada) {
  const flow = await authorize(config, parameters);
  return tokens(config, flow, await browser.arrive(flow.url), tokenParameters);
}
