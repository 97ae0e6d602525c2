// A browser without scripts: it keeps cookies, follows redirects inside the server, and fills in the sign-in and consent forms.

import { settings } from './operator.mjs';

const entities = { amp: '&', lt: '<', gt: '>', quot: '"' };
const decode = (text) => text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
  if (hex || decimal) return String.fromCodePoint(hex ? parseInt(hex, 16) : Number(decimal));
  return entities[name] ?? whole;
});

function attributes(tag) {
  const found = {};
  for (const [, name, quoted, bare] of tag.matchAll(/\s([\w-]+)(?:=(?:"([^"]*)"|([^\s>]+)))?/g)) found[name] = decode(quoted ?? bare ?? '');
  return found;
}

/** forms returns the forms of a page: id, action, and the hidden inputs as fields. */
export function forms(body) {
  return [...body.matchAll(/<form\b[^>]*>[\s\S]*?<\/form>/g)].map(([text]) => {
    const { id, action } = attributes(text.match(/<form\b[^>]*>/)[0]);
    const fields = new URLSearchParams();
    for (const [tag] of text.matchAll(/<input\b[^>]*>/g)) {
      const { type, name, value = '' } = attributes(tag);
      if (type === 'hidden') fields.append(name, value);
    }
    return { id, action, fields };
  });
}

export class Browser {
  #cookies = new Map();

  /** shown lists the pages that a walk met: login, consent, logout. */
  shown = [];
  decision = 'allow';

  async #fetch(url, init = {}) {
    const headers = { ...init.headers };
    if (this.#cookies.size) headers.cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) this.#keep(line);
    return { url: new URL(url), status: response.status, location: response.headers.get('location'), type: response.headers.get('content-type'), body: await response.text() };
  }

  // All cookies are the server's, for all its paths.
  #keep(line) {
    const [pair, ...rest] = line.split(';').map((part) => part.trim());
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    const age = rest.map((part) => part.toLowerCase()).find((part) => part.startsWith('max-age='));
    if (age && Number(age.slice(8)) <= 0) this.#cookies.delete(name);
    else this.#cookies.set(name, value);
  }

  #submit(page, form, values) {
    const body = new URLSearchParams(form.fields);
    for (const [name, value] of Object.entries(values)) body.set(name, value);
    return this.#fetch(new URL(form.action, page.url), { method: 'POST', body, headers: { origin: new URL(settings.issuer).origin } });
  }

  /**
   * walk opens an address and does what the pages ask. It returns what then leaves the server: {url} of a redirect elsewhere, {request} of a form that the
   * page posts elsewhere (form_post); or {page}, a page that asks for nothing it knows.
   */
  async walk(target) {
    let page = await this.#fetch(target);
    for (let step = 0; step < 15; step++) {
      if (page.location) {
        const next = new URL(page.location, page.url);
        if (!next.href.startsWith(`${settings.issuer}/`)) return { url: next };
        page = await this.#fetch(next);
        continue;
      }
      const all = forms(page.body);
      const known = all.find(({ id }) => ['login', 'consent', 'logout'].includes(id));
      if (page.status >= 400 || !known) return this.#arrive(page, all);
      this.shown.push(known.id);
      page = await this.#submit(page, known, this.#answers(known.id));
    }
    throw new Error('the walk does not end');
  }

  #answers(id) {
    if (id === 'login') return { username: settings.user, password: settings.password };
    return id === 'consent' ? { decision: this.decision } : {};
  }

  #arrive(page, all) {
    const away = all.find(({ action }) => action && new URL(action, page.url).origin !== page.url.origin);
    if (!away) return { page };
    return { request: new Request(away.action, { method: 'POST', body: away.fields }) };
  }

  /** arrive is walk for requests that must end in a redirect to the client. */
  async arrive(target) {
    const { url, page } = await this.walk(target);
    if (!url) throw new Error(`no redirect to the client but ${page?.status} ${page?.body.replace(/<[^>]*>|\s+/g, ' ')}`);
    return url;
  }
}
