import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import * as chromium from "./chromium.js";
import * as program from "./stepup.js";

// How long one test may take; it takes about a second.
const patience = { timeout: 60_000 };

let built, browser; // for all tests
let stepup, api, tab; // for each

before(
  async () => {
    built = await program.build();
    browser = await chromium.launch();
  },
  { timeout: 6 * 60_000 },
);

after(async () => {
  await browser?.close();
  await built?.remove();
});

beforeEach(async () => {
  stepup = await program.start(built.program);
  api = program.client(stepup.page);
}, patience);

afterEach(async () => {
  await tab?.close();
  await stepup?.stop();
  assert.deepEqual(tab?.complaints, []);
}, patience);

/** Opens the page as somebody does who clicks on what `make run` printed. */
async function visit(url = stepup.page, script) {
  tab = await chromium.open(browser, url, script);
}

/** Presses a button and returns what the page says came of it. */
async function press(name) {
  const button = tab.page.getByRole("button", { name, exact: true });
  const said = tab.page.locator("form").filter({ has: button }).getByRole("status");
  await button.click();
  await said.and(tab.page.locator(".good, .bad")).waitFor();
  return said.innerText();
}

/** What the page shows of the session, by name. */
async function shown() {
  const session = tab.page.getByRole("region", { name: "The session" });
  const names = await session.getByRole("term").allInnerTexts();
  const values = await session.getByRole("definition").allInnerTexts();
  return Object.fromEntries(names.map((name, i) => [name, values[i]]));
}

/** The factors of the session that the page shows, as the API has them. */
async function factors() {
  const { Id: id } = await shown();
  const { session } = await api.get(`/v2/sessions/${id}`);
  return session.factors ?? {};
}

/** The calls of the latest press, with how each ended. */
async function calls() {
  const latest = tab.page.getByRole("region", { name: "The calls" }).locator(".run").first();
  const lines = await latest.locator(".steps summary").allInnerTexts();
  return lines.map((line) => line.replace(/\/v2\/sessions\/\w+/, "/v2/sessions/:id").replace(/passkeys\/\w{10,}/, "passkeys/:id"));
}

test("a passkey is registered and steps a session up", patience, async () => {
  await visit();
  assert.equal(await press("Register a passkey"), "Registered.");
  assert.deepEqual(await calls(), [
    "POST /v2/users/demo/passkeys 200",
    "navigator.credentials.create() done",
    "POST /v2/users/demo/passkeys/:id 200",
    "POST /v2/users/demo/passkeys/_search 200",
  ]);
  assert.equal(await tab.page.getByRole("list", { name: "Registered passkeys" }).getByRole("listitem").count(), 1);

  assert.equal(await press("Sign in"), "Signed in.");
  assert.deepEqual(await calls(), [
    "POST /v2/sessions 201",
    "GET /v2/sessions/:id 200",
    "PATCH /v2/sessions/:id 200",
    "navigator.credentials.get() done",
    "PATCH /v2/sessions/:id 200",
    "GET /v2/sessions/:id 200",
  ]);
  const { User: user, Passkey: passkey } = await shown();
  assert.match(user, /demo@stepup\.test/);
  assert.match(passkey, /^verified at .*, with user verification$/);
  const { user: who, webAuthN: factor } = await factors();
  assert.equal(who.id, "demo");
  assert.equal(factor.userVerified, true);
  assert.ok(factor.verifiedAt);
});

test("a passkey says who signs in", patience, async () => {
  await visit();
  await press("Register a passkey");
  await tab.page.getByLabel("Login name").fill("nobody");
  assert.equal(await press("Sign in without a name"), "Signed in.");
  const { user, webAuthN: factor } = await factors();
  assert.equal(user.loginName, "demo@stepup.test");
  assert.equal(factor.userVerified, true);
});

test("an answer without user verification is refused and sets nothing", patience, async () => {
  await visit();
  await press("Register a passkey");
  await tab.recognize(false);
  assert.match(await press("Sign in unverified"), /^Refused: WEBAU-3M9si /);
  assert.equal((await shown()).Passkey, "not verified");
  const { user, webAuthN: factor } = await factors();
  assert.equal(user.id, "demo");
  assert.equal(factor, undefined);

  // Where verification is asked for, the browser itself sends nothing.
  assert.match(await press("Sign in"), /^The browser says NotAllowedError/);
  assert.equal((await factors()).webAuthN, undefined);

  await tab.recognize(true);
  assert.equal(await press("Sign in"), "Signed in.");
});

test("an answer passes once", patience, async () => {
  await visit();
  await press("Register a passkey");
  assert.equal(await press("Send an old answer"), "Sign in first.");
  await press("Sign in");
  const { webAuthN: first } = await factors();
  assert.match(await press("Send an old answer"), /^Refused: WEBAU-3M9si /);
  assert.deepEqual((await factors()).webAuthN, first);
});

test("a passkey that was removed signs nobody in", patience, async () => {
  await visit();
  await press("Register a passkey");
  assert.match(await press("Register a passkey"), /InvalidStateError/); // it is there already
  await tab.page.getByRole("button", { name: "Remove My passkey" }).click();
  await tab.page.getByText(/^Removed\./).waitFor();
  assert.match(await press("Sign in"), /^Refused: WEBAU-4G8sw /);
  assert.match(await press("Sign in without a name"), /^Refused: COMMAND-Aej7i /);
  assert.deepEqual(await factors(), {});
});

test("a session that was ended is gone", patience, async () => {
  await visit();
  await press("Register a passkey");
  await press("Sign in");
  const { Id: id } = await shown();
  await tab.page.getByRole("button", { name: "End the session" }).click();
  await tab.page.getByText("None yet.").waitFor();
  assert.equal((await api.get(`/v2/sessions/${id}`)).details[0].id, "QUERY-SFeaa");
});

test("browsers that do not speak JSON are helped", patience, async () => {
  await visit(stepup.page, () => {
    delete PublicKeyCredential.parseCreationOptionsFromJSON;
    delete PublicKeyCredential.parseRequestOptionsFromJSON;
    delete PublicKeyCredential.prototype.toJSON;
  });
  assert.equal(await press("Register a passkey"), "Registered.");
  assert.match(await press("Register a passkey"), /InvalidStateError/); // so the list of known ones came through
  assert.equal(await press("Sign in"), "Signed in.");
  assert.equal(await press("Sign in without a name"), "Signed in.");
  assert.equal((await factors()).webAuthN.userVerified, true);
});

test("a wrong key is refused by its id, and a missing one is asked for", patience, async () => {
  const bare = new URL(stepup.page);
  bare.hash = "";
  await visit(bare);
  assert.equal(await press("Sign in"), "Paste the API key first.");
  await tab.page.getByLabel("API key").fill("wrong");
  assert.match(await press("Sign in"), /^Refused: \S+-\S+ /);
  await tab.page.getByLabel("API key").fill(api.key);
  assert.equal(await press("Register a passkey"), "Registered.");
});

test("at an address instead of a name the page leads to the right place", patience, async () => {
  const address = new URL(stepup.page);
  address.hostname = "127.0.0.1";
  await visit(address);
  await tab.page.getByRole("alert").getByRole("link").click();
  await tab.page.waitForURL(stepup.page.href);
  assert.equal(await press("Register a passkey"), "Registered.");
});
