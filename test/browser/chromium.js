// A real Chromium with an authenticator that needs no finger.
import { chromium } from "playwright-core";

// Chromium calls home when it starts; a test run has no business there.
const quiet = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
];

const executablePath = process.env.CHROMIUM;
if (!executablePath) {
  throw new Error("CHROMIUM does not name a browser: run `make test-browser`, which finds or installs one");
}

/** Starts the browser that CHROMIUM names. */
export function launch() {
  return chromium.launch({ executablePath, args: quiet, timeout: 60_000 });
}

/**
 * Opens a page in a profile of its own, with a virtual authenticator like the one in a
 * laptop (Web Authentication Level 3, section 11.3).
 */
export async function open(browser, url, script) {
  const context = await browser.newContext();
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const complaints = watch(page, url.port);
  if (script) {
    await page.addInitScript(script);
  }
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  await page.goto(url.href);
  return {
    page,
    complaints,
    /** Makes the authenticator recognize its user, or not. */
    recognize: (isUserVerified) => devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified }),
    close: () => context.close(),
  };
}

// watch collects what the page should never cause: exceptions, violations of its
// policy, and requests that leave its server or name the key. That a call was refused is
// a line in the console too, and none of these.
function watch(page, port) {
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      complaints.push(message.text());
    }
  });
  page.on("request", (request) => {
    const asked = new URL(request.url());
    if (!["localhost", "127.0.0.1"].includes(asked.hostname) || asked.port !== port) {
      complaints.push(`request to ${asked.host}`);
    }
    if ((asked.pathname + asked.search).includes("stepup_")) {
      complaints.push("a request names the key");
    }
  });
  return complaints;
}
