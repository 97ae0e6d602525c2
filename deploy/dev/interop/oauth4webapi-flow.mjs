// The code flow as an application on oauth4webapi 3 writes it.

import * as oauth from 'oauth4webapi';

import { Browser } from './browser.mjs';
import { callback, settings } from './operator.mjs';

/** options goes with every request. */
export const options = { [oauth.allowInsecureRequests]: settings.insecure };

const issuer = new URL(settings.issuer);
export const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));

/** application is a registered client with its way to authenticate. */
export class Application {
  browser = new Browser();

  constructor(client, authentication = oauth.ClientSecretBasic(client.client_secret)) {
    this.client = { client_id: client.client_id, id_token_signed_response_alg: client.id_token_signed_response_alg, userinfo_signed_response_alg: client.userinfo_signed_response_alg };
    this.authentication = authentication;
  }

  /** request returns the parameters of an authorization request, and what to expect of the answer. */
  async request(parameters = {}) {
    const verifier = oauth.generateRandomCodeVerifier();
    const all = {
      client_id: this.client.client_id, response_type: 'code', redirect_uri: callback, scope: 'openid profile email offline_access', state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce(),
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...parameters,
    };
    return { parameters: all, verifier };
  }

  /** answer sends the browser and returns the parameters that reach the client, validated. */
  async answer(flow) {
    const url = new URL(server.authorization_endpoint);
    url.search = new URLSearchParams(flow.parameters).toString();
    return oauth.validateAuthResponse(server, this.client, await this.browser.arrive(url), flow.parameters.state);
  }

  /** redeem returns the Response of the token endpoint. */
  redeem(flow, answer, additionalParameters) {
    return oauth.authorizationCodeGrantRequest(server, this.client, this.authentication, answer, flow.parameters.redirect_uri, flow.verifier, { ...options, additionalParameters });
  }

  /** signIn is the whole flow, with the signature of the ID token verified. */
  async signIn(parameters, additionalParameters) {
    const flow = await this.request(parameters);
    const response = await this.redeem(flow, await this.answer(flow), additionalParameters);
    const requireIdToken = flow.parameters.scope.split(' ').includes('openid');
    const tokens = await oauth.processAuthorizationCodeResponse(server, this.client, response, {
      expectedNonce: requireIdToken ? flow.parameters.nonce : undefined, requireIdToken, maxAge: flow.parameters.max_age && Number(flow.parameters.max_age),
    });
    if (requireIdToken) await oauth.validateApplicationLevelSignature(server, response, options);
    return tokens;
  }

  async refresh(token, additionalParameters) {
    const response = await oauth.refreshTokenGrantRequest(server, this.client, this.authentication, token, { ...options, additionalParameters });
    return oauth.processRefreshTokenResponse(server, this.client, response);
  }

  async introspect(token) {
    return oauth.processIntrospectionResponse(server, this.client, await oauth.introspectionRequest(server, this.client, this.authentication, token, options));
  }

  revoke(token) {
    return oauth.revocationRequest(server, this.client, this.authentication, token, options);
  }

  async userinfo(token, subject) {
    return oauth.processUserInfoResponse(server, this.client, subject, await oauth.userInfoRequest(server, this.client, token, options));
  }

  /** accept is a resource server that gets a token (RFC 9068). */
  accept(token, audience) {
    return oauth.validateJwtAccessToken(server, new Request('https://api.example.com', { headers: { authorization: `Bearer ${token}` } }), audience, options);
  }
}
