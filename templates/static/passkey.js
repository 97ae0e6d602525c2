// Passkeys on the hosted pages. Every page works without this file; it shows and drives what only scripts can do. A form with data-passkey (get or create) and data-options (JSON of the options, binary
// members in base64url) is filled in with the authenticator's answer and sent.
(function () {
  "use strict";

  function bytes(text) {
    var raw = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    var out = new Uint8Array(raw.length);
    for (var i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out.buffer;
  }

  function text(buffer) {
    var view = new Uint8Array(buffer), raw = "";
    for (var i = 0; i < view.length; i++) raw += String.fromCharCode(view[i]);
    return btoa(raw).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  function described(list) {
    return (list || []).map(function (c) { return Object.assign({}, c, { id: bytes(c.id) }); });
  }

  function options(form) {
    var o = JSON.parse(form.dataset.options);
    o.challenge = bytes(o.challenge);
    if (form.dataset.passkey === "create") {
      o.user.id = bytes(o.user.id);
      o.excludeCredentials = described(o.excludeCredentials);
    } else {
      o.allowCredentials = described(o.allowCredentials);
    }
    return o;
  }

  function answer(credential) {
    var r = credential.response;
    var out = { id: credential.id, rawId: text(credential.rawId), type: credential.type, clientExtensionResults: credential.getClientExtensionResults(), response: { clientDataJSON: text(r.clientDataJSON) } };
    if (credential.authenticatorAttachment) out.authenticatorAttachment = credential.authenticatorAttachment;
    if (r.attestationObject) {
      out.response.attestationObject = text(r.attestationObject);
      if (r.getTransports) out.response.transports = r.getTransports();
    } else {
      out.response.authenticatorData = text(r.authenticatorData);
      out.response.signature = text(r.signature);
      if (r.userHandle && r.userHandle.byteLength) out.response.userHandle = text(r.userHandle);
    }
    return JSON.stringify(out);
  }

  var waiting = null; // the autofill question, which another one must end first
  var sent = false; // an answer is on its way: a question does for one
  addEventListener("pageshow", function () { sent = false; });

  function ask(form, mediation) {
    var create = form.dataset.passkey === "create";
    var request = { publicKey: options(form) };
    if (waiting) waiting.abort();
    waiting = null;
    if (mediation) {
      waiting = new AbortController();
      request.mediation = mediation;
      request.signal = waiting.signal;
    }
    return (create ? navigator.credentials.create(request) : navigator.credentials.get(request)).then(function (credential) {
      if (!credential || sent) return;
      sent = true;
      form.elements.namedItem("response").value = answer(credential);
      HTMLFormElement.prototype.submit.call(form);
    });
  }

  function copied(form) {
    // What stands in the form beside this one belongs to the answer, too.
    form.querySelectorAll("input[data-copy]").forEach(function (input) {
      var source = document.getElementById(input.dataset.copy);
      if (source) input.value = source.type === "checkbox" ? (source.checked ? source.value : "") : source.value;
    });
  }

  if (!window.PublicKeyCredential || !navigator.credentials) return;
  document.querySelectorAll("form[data-passkey]").forEach(function (form) {
    form.hidden = false;
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      if (sent) return;
      copied(form);
      var failed = form.querySelector("[data-failed]");
      if (failed) failed.hidden = true;
      ask(form).catch(function () { if (failed) failed.hidden = false; });
    });
    if (form.dataset.autofill !== undefined && PublicKeyCredential.isConditionalMediationAvailable) {
      PublicKeyCredential.isConditionalMediationAvailable().then(function (able) {
        if (able) {
          copied(form);
          ask(form, "conditional").catch(function () {}); // the person chose another way, or the question was ended for another
        }
      });
    }
  });
})();
