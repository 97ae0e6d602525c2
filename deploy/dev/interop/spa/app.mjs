// A single-page application on oidc-client-ts 3. interop_test.go clicks its buttons and reads what it writes: one finding a line, as checks.mjs prints them.
// The address carries the settings; they and the findings outlive the journeys to the server in sessionStorage.

import { ErrorResponse, ErrorTimeout, UserManager, WebStorageStateStore } from 'oidc-client-ts';

const at = new URL(location.href);
if (at.searchParams.has('issuer')) sessionStorage.setItem('settings', JSON.stringify(Object.fromEntries(at.searchParams)));
const settings = JSON.parse(sessionStorage.getItem('settings'));

const manager = new UserManager({
  authority: settings.issuer,
  client_id: settings.client,
  redirect_uri: `${at.origin}/callback`,
  silent_redirect_uri: `${at.origin}/silent`,
  post_logout_redirect_uri: `${at.origin}/signed-out`,
  scope: settings.scope,
  loadUserInfo: true,
  automaticSilentRenew: false,
  silentRequestTimeoutInSeconds: 10,
  monitorSession: true,
  checkSessionIntervalInSeconds: 1,
  userStore: new WebStorageStateStore({ store: sessionStorage }),
  stateStore: new WebStorageStateStore({ store: localStorage }),
});

const odd = { text: 'a+b c%20"\'<é>&=' };
const findings = () => JSON.parse(sessionStorage.getItem('findings') ?? '[]');
const say = (state) => { document.querySelector('#state').textContent = state; };

function find(finding) {
  sessionStorage.setItem('findings', JSON.stringify([...findings(), finding]));
  document.querySelector('#findings').textContent = findings().map((each) => JSON.stringify(each)).join('\n');
}

function assert(condition, message) {
  if (!condition) throw new Error(message);
}

async function check(name, body) {
  try {
    await body();
    find({ check: name, ok: true });
  } catch (error) {
    find({ check: name, ok: false, error: `${error.name}: ${error.message}` });
  }
}

function checkOf(advertised, name, body) {
  return check(name, async () => {
    assert(advertised, 'not advertised in discovery');
    await body();
  });
}

async function refused(promise) {
  const answer = await promise.then((value) => ({ value }), (error) => ({ error }));
  assert(answer.error, 'was accepted');
  return answer.error;
}

/** silent renews by a hidden frame, as applications without a refresh token do. */
async function silent(user) {
  await manager.storeUser(Object.assign(Object.create(Object.getPrototypeOf(user)), user, { refresh_token: undefined }));
  return manager.signinSilent();
}

// What runs right after the return from the server.
const arrivals = {
  async '/callback'() {
    let user;
    await check('sign-in', async () => {
      user = await manager.signinCallback();
      assert(user.profile.sub && user.profile.email === settings.user, 'no userinfo');
      assert(user.state.text === odd.text, `state came back as ${user.state.text}`);
      assert(user.expires_in > 0, 'no expires_in');
    });
    say(user ? 'signed in' : 'failed');
  },
  async '/silent'() {
    await manager.signinSilentCallback();
  },
  async '/signed-out'() {
    await check('signoutRedirect', async () => {
      const answer = await manager.signoutCallback();
      assert(answer.userState.text === odd.text, 'state is lost');
      assert(!answer.error, answer.error);
    });
    say('signed out');
  },
};

// Checks of an application that has refresh tokens, whatever site it is on.
async function withRefreshTokens() {
  const metadata = await manager.metadataService.getMetadata();
  const post = (url, values) => fetch(url, { method: 'POST', body: new URLSearchParams(values) });
  let user = await manager.getUser();

  await check('key set', async () => {
    const keys = await manager.metadataService.getSigningKeys();
    assert(keys.length > 0 && keys.every((key) => key.kid), 'no keys');
  });
  await check('renewal by refresh token', async () => {
    const before = user;
    user = await manager.signinSilent();
    assert(user.access_token !== before.access_token && user.refresh_token !== before.refresh_token, 'nothing is new');
    assert(user.profile.sub === before.profile.sub, 'another sub');
  });
  await check('preflight with Authorization and DPoP', async () => {
    const answer = await fetch(metadata.userinfo_endpoint, { headers: { authorization: `Bearer ${user.access_token}`, dpop: 'not looked at' } });
    assert((await answer.json()).sub === user.profile.sub, `userinfo answers ${answer.status}`);
  });
  await check('errors can be read', async () => {
    const wrong = await post(metadata.token_endpoint, { grant_type: 'authorization_code', client_id: settings.client, code: 'wrong', redirect_uri: `${at.origin}/callback`, code_verifier: 'x'.repeat(43) });
    assert(wrong.status === 400 && (await wrong.json()).error === 'invalid_grant', `token endpoint answers ${wrong.status}`);
    const error = await refused(manager.signinResourceOwnerCredentials({ username: 'x', password: 'y' }));
    assert(error instanceof ErrorResponse && error.error, `no error of OAuth but ${error}`);
  });
  await check('another application\'s answers cannot be read', async () => {
    const error = await refused(post(metadata.token_endpoint, { grant_type: 'authorization_code', client_id: settings.stranger, code: 'wrong', redirect_uri: 'https://elsewhere.example/callback', code_verifier: 'x'.repeat(43) }));
    assert(error instanceof TypeError, `not blocked but ${error}`);
  });
  await check('revocation', async () => {
    await manager.revokeTokens(['access_token']);
    const answer = await fetch(metadata.userinfo_endpoint, { headers: { authorization: `Bearer ${user.access_token}` } });
    assert(answer.status === 401, `userinfo answers ${answer.status}`);
    assert(/error="invalid_token"/.test(answer.headers.get('www-authenticate')), 'WWW-Authenticate is not exposed');
    const { refresh_token } = await manager.getUser();
    await manager.revokeTokens(['refresh_token']);
    await manager.storeUser(Object.assign(Object.create(Object.getPrototypeOf(user)), user, { refresh_token }));
    const error = await refused(manager.signinSilent());
    assert(error instanceof ErrorResponse && error.error === 'invalid_grant', `${error}`);
  });
}

// Renewal in a hidden frame. It needs the server's cookies, which the browser keeps from frames on other sites, and a client that need not ask for consent each
// time: otherwise the application must be told so by an error.
async function withFrames() {
  const user = await manager.getUser();
  if (!settings.frame) {
    await check('renewal by frame', async () => {
      const renewed = await silent(user);
      assert(renewed.access_token !== user.access_token && renewed.profile.sub === user.profile.sub, 'not renewed');
    });
  } else {
    await check(`renewal by frame is told ${settings.frame}`, async () => {
      const error = await refused(silent(user));
      assert(!(error instanceof ErrorTimeout), 'the frame shows a page instead of an error');
      assert(error.error === settings.frame, `${error}`);
    });
  }
  await manager.storeUser(user);
}

/** ask puts a message to the server's frame and returns its answer (OpenID Connect Session Management section 3.1). */
function ask(frame, message) {
  return new Promise((resolve, reject) => {
    const element = document.createElement('iframe');
    element.hidden = true;
    element.src = frame;
    element.onload = () => element.contentWindow.postMessage(message, new URL(frame).origin);
    addEventListener('message', ({ source, data }) => { if (source === element.contentWindow) resolve(data); });
    setTimeout(() => reject(new Error('the frame does not answer')), 5000);
    document.body.append(element);
  });
}

// Checks of session management, which needs cookies in frames: on another site the server's frame can only say that something changed.
async function withSession() {
  const { check_session_iframe: frame } = await manager.metadataService.getMetadata();
  const user = await manager.getUser();
  const unknown = `${settings.client} ${user.session_state?.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`;
  await checkOf(frame, 'session frame', async () => {
    assert(user.session_state, 'no session_state');
    const known = await ask(frame, `${settings.client} ${user.session_state}`);
    assert(known === (settings.frame ? 'changed' : 'unchanged'), known);
    assert(await ask(frame, unknown) === 'changed', 'another state is not changed');
    assert(await ask(frame, 'nonsense') === 'error', 'nonsense is no error');
  });
  if (settings.frame) return;
  await checkOf(frame, 'session change is noticed', async () => {
    const noticed = new Promise((resolve, reject) => {
      manager.events.addUserSessionChanged(resolve);
      setTimeout(() => reject(new Error('not within 10 s')), 10_000);
    });
    const stale = Object.assign(Object.create(Object.getPrototypeOf(user)), user, { session_state: unknown.split(' ')[1] });
    await manager.events.load(stale);
    await noticed;
  });
}

async function run() {
  await withFrames();
  if (settings.issuer.startsWith('https:')) await withSession();
  await withRefreshTokens();
  say('done');
}

document.querySelector('#sign-in').onclick = () => manager.signinRedirect({ state: odd });
document.querySelector('#run').onclick = run;
document.querySelector('#sign-out').onclick = () => manager.signoutRedirect({ state: odd });
say('ready');
await arrivals[at.pathname]?.();
