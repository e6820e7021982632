// The passkey page: what each button does, in the order of the page.
import { Refusal } from "./api.js";
import { Run, copy } from "./calls.js";

const form = (id) => document.forms[id];
const access = form("access").elements;

// The relying party is the host of the page, as it is for most logins.
const domain = location.hostname;
const users = () => `/v2/users/${encodeURIComponent(access.userId.value)}`;
const sessions = (id) => `/v2/sessions/${encodeURIComponent(id)}`;

let session; // id of the session that is shown
let answered; // the last assertion that was accepted

on("register", "Register a passkey", async (run, fields) => {
  const made = await run.call("Ask for options.", "POST", `${users()}/passkeys`, { domain });
  const publicKeyCredential = await run.create("Let the browser make a key pair.", made.publicKeyCredentialCreationOptions);
  await run.call("Hand over what the browser made.", "POST", `${users()}/passkeys/${made.passkeyId}`, {
    publicKeyCredential,
    passkeyName: fields.passkeyName.value,
  });
  await listPasskeys(run);
  return "Registered.";
});

on("named", "Sign in", async (run) => {
  await start(run, { user: { loginName: access.loginName.value } });
  const options = await openChallenge(run);
  await answer(run, await run.get("Let the browser sign the challenge.", options));
  return "Signed in.";
});

on("nameless", "Sign in without a name", async (run) => {
  await start(run);
  const options = await openChallenge(run);
  await answer(run, await run.get("Let the person choose a passkey, and the browser sign.", options));
  return "Signed in.";
});

on("unverified", "Sign in unverified", async (run) => {
  await start(run, { user: { loginName: access.loginName.value } });
  const options = await openChallenge(run);
  options.publicKey.userVerification = "discouraged";
  await answer(run, await run.get("Ask the browser for less than the session demands.", options));
  return "Accepted: your authenticator verified you all the same.";
});

on("replay", "Send an old answer", async (run) => {
  if (!session || !answered) {
    throw new Error("Sign in first.");
  }
  await openChallenge(run);
  await answer(run, answered);
  return "Accepted, which should not happen.";
});

on("end", "End the session", async (run) => {
  await run.call("End it.", "DELETE", sessions(session));
  showSession(undefined);
  return "";
});

/** Creates a session, which takes the place of the one that is shown. */
async function start(run, checks) {
  const why = checks ? "Create a session, and say who." : "Create a session for whoever comes.";
  const made = await run.call(why, "POST", "/v2/sessions", { checks, lifetime: "3600s" });
  session = made.sessionId;
  answered = undefined;
  await look(run);
}

/** Opens a challenge in the session and returns the options for the browser. */
async function openChallenge(run) {
  const opened = await run.call("Open a challenge.", "PATCH", sessions(session), {
    challenges: { webAuthN: { domain, userVerificationRequirement: "USER_VERIFICATION_REQUIREMENT_REQUIRED" } },
  });
  return opened.challenges.webAuthN.publicKeyCredentialRequestOptions;
}

/** Steps the session up with an assertion, and looks at it whether that worked or not. */
async function answer(run, credentialAssertionData) {
  try {
    await run.call("Step the session up with the answer.", "PATCH", sessions(session), {
      checks: { webAuthN: { credentialAssertionData } },
    });
    answered = credentialAssertionData;
  } finally {
    await look(run);
  }
}

async function look(run) {
  const got = await run.call("See what the session is worth.", "GET", sessions(session));
  showSession(got.session);
}

function showSession(shown) {
  if (!shown) {
    session = answered = undefined;
  }
  document.querySelector("#session .empty").hidden = Boolean(shown);
  form("end").hidden = !shown;
  const facts = document.querySelector("#session dl");
  facts.replaceChildren();
  if (!shown) {
    return;
  }
  const { user, webAuthN } = shown.factors ?? {};
  fact(facts, "Id", shown.id);
  fact(facts, "User", user ? `${user.displayName} (${user.loginName})` : "nobody yet", Boolean(user));
  fact(facts, "Passkey", passkeyFact(webAuthN), Boolean(webAuthN));
}

function passkeyFact(factor) {
  if (!factor) {
    return "not verified";
  }
  const time = new Date(factor.verifiedAt).toLocaleTimeString();
  return `verified at ${time}, ${factor.userVerified ? "with" : "without"} user verification`;
}

function fact(list, name, value, proven) {
  const term = document.createElement("dt");
  const text = document.createElement("dd");
  term.textContent = name;
  text.textContent = value;
  if (proven !== undefined) {
    text.className = proven ? "good" : "open";
  }
  list.append(term, text);
}

async function listPasskeys(run) {
  const listed = await run.call("List the user’s passkeys.", "POST", `${users()}/passkeys/_search`, {});
  const ready = (listed.result ?? []).filter((key) => key.state === "AUTH_FACTOR_STATE_READY");
  document.querySelector("#passkeys").replaceChildren(...ready.map(passkeyEntry));
}

function passkeyEntry(key) {
  const entry = copy("#key");
  entry.querySelector("span").textContent = key.name;
  const button = entry.querySelector("button");
  button.setAttribute("aria-label", `Remove ${key.name}`);
  button.addEventListener("click", () =>
    perform(form("register"), "Remove a passkey", async (run) => {
      await run.call("Remove it.", "DELETE", `${users()}/passkeys/${key.id}`);
      await listPasskeys(run);
      form("register").querySelector("button").focus(); // this one is gone
      return "Removed. Your browser still offers it until you delete it there.";
    }),
  );
  return entry;
}

/** Performs a task when the form is submitted. */
function on(id, title, task) {
  form(id).addEventListener("submit", (event) => {
    event.preventDefault();
    perform(form(id), title, task);
  });
}

let turn = Promise.resolve(); // ends when the task before has ended

/** Runs a task after those before it, and says in the form how it ended. */
function perform(at, title, task) {
  const said = at.querySelector("output");
  if (at.ariaBusy === "true") {
    return; // somebody presses twice
  }
  if (!access.key.value) {
    say(said, "bad", "Paste the API key first.");
    access.key.focus();
    return;
  }
  at.ariaBusy = "true";
  say(said, "", "Working …");
  turn = turn.then(async () => {
    try {
      say(said, "good", await task(new Run(title, access.key.value), at.elements));
    } catch (error) {
      say(said, "bad", ...explain(error));
    } finally {
      at.ariaBusy = "false";
    }
  });
}

/** Writes an outcome: a text, with the id of a refusal in front of it. */
function say(output, kind, text, id) {
  output.className = kind;
  output.replaceChildren(text);
  if (id) {
    const code = document.createElement("code");
    code.textContent = id;
    output.prepend("Refused: ", code, " ");
  }
}

// What browsers mean by the exceptions of WebAuthn, whose own texts are vague on purpose.
const meanings = {
  InvalidStateError: "this authenticator already has a passkey of this user. Remove that first.",
  NotAllowedError: "it was cancelled, took too long, or no passkey fits.",
  SecurityError: "this host cannot be a relying party.",
};

function explain(error) {
  if (error instanceof Refusal) {
    return [error.message, error.id];
  }
  if (error instanceof DOMException) {
    return [`The browser says ${error.name}: ${meanings[error.name] ?? error.message}`];
  }
  return [error instanceof TypeError ? `stepup does not answer: ${error.message}` : error.message];
}

function notice(...parts) {
  const at = document.querySelector("#notice");
  at.replaceChildren(...parts);
  at.hidden = false;
}

/** Says what stands in the way of passkeys here, if anything does. */
function checkPlace() {
  if (/^[\d.]+$|^\[/.test(domain)) {
    const here = new URL(location.href);
    here.hostname = "localhost";
    const link = document.createElement("a");
    link.href = link.textContent = here.href;
    notice("Passkeys belong to a name and not to an address. Open ", link);
  } else if (!window.PublicKeyCredential) {
    notice("This browser has no passkeys, or the page is not served from a secure place.");
  }
}

function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    access.key.value = given;
    perform(form("access"), "Look at what is there", async (run) => {
      await listPasskeys(run);
      return "";
    });
  }
}

window.addEventListener("hashchange", takeKey);
checkPlace();
takeKey();
