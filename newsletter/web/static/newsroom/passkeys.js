// Forms that a passkey fills in: `data-passkey` is "get" or "create", `data-options` where the
// question comes from. They are hidden from browsers that have no passkeys.

const text = new TextDecoder();

function bytes(encoded) {
  const plain = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (each) => each.charCodeAt(0));
}

function encoded(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function asked(options) {
  options.challenge = bytes(options.challenge);
  if (options.user) options.user.id = bytes(options.user.id);
  for (const each of [...(options.allowCredentials ?? []), ...(options.excludeCredentials ?? [])]) {
    each.id = bytes(each.id);
  }
  return { publicKey: options };
}

function answer(credential) {
  const { response } = credential;
  const said = { clientDataJSON: encoded(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) said[name] = encoded(response[name]);
  }
  if (response.getTransports) said.transports = response.getTransports();
  return JSON.stringify({
    id: credential.id,
    rawId: encoded(credential.rawId),
    type: credential.type,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: said,
  });
}

async function show(form) {
  const reply = await fetch(form.dataset.options, {
    method: "POST",
    headers: { ...JSON.parse(document.body.getAttribute("hx-headers")), "HX-Request": "true" },
  });
  const elsewhere = reply.headers.get("HX-Redirect");
  if (elsewhere) {
    location.assign(elsewhere);
    return null;
  }
  if (!reply.ok) {
    const part = new DOMParser().parseFromString(text.decode(await reply.arrayBuffer()), "text/html");
    throw new Error(part.body.textContent.trim());
  }
  const options = asked(await reply.json());
  return form.dataset.passkey === "create"
    ? navigator.credentials.create(options)
    : navigator.credentials.get(options);
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  const wrong = form.querySelector(".wrong");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    wrong.hidden = true;
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const credential = await show(form);
      if (!credential) return;
      form.elements.credential.value = answer(credential);
      form.submit();
    } catch (error) {
      // Whoever closes the browser's own window has changed their mind.
      const isGivenUp = error.name === "NotAllowedError" || error.name === "AbortError";
      wrong.textContent = isGivenUp ? form.dataset.givenUp : error.message;
      wrong.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
}
