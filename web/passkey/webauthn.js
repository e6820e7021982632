// The browser's half of both ceremonies, in the JSON that the API speaks (Web
// Authentication Level 3, sections 5.1.8 to 5.1.10).

/** Asks an authenticator for a new credential and returns it as JSON. */
export async function create(options) {
  const publicKey = globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON
    ? PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey)
    : decode(options.publicKey);
  return toJSON(await navigator.credentials.create({ publicKey }));
}

/** Asks an authenticator for an assertion and returns it as JSON. */
export async function get(options) {
  const publicKey = globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON
    ? PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey)
    : decode(options.publicKey);
  return toJSON(await navigator.credentials.get({ publicKey }));
}

// What follows is for browsers that do not speak JSON yet: the members that are binary
// travel as base64url without padding.

function decode(options) {
  const decoded = { ...options, challenge: bytes(options.challenge) };
  if (options.user) {
    decoded.user = { ...options.user, id: bytes(options.user.id) };
  }
  for (const list of ["excludeCredentials", "allowCredentials"]) {
    decoded[list] = (options[list] ?? []).map((known) => ({ ...known, id: bytes(known.id) }));
  }
  return decoded;
}

function toJSON(credential) {
  if (credential.toJSON) {
    return credential.toJSON();
  }
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) {
      response[name] = text(credential.response[name]);
    }
  }
  if (credential.response.getTransports) {
    response.transports = credential.response.getTransports();
  }
  return { id: credential.id, rawId: credential.id, type: credential.type, response, clientExtensionResults: {} };
}

function bytes(base64url) {
  const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function text(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
