// The program under test: built once, and started as a person starts it.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));

// How long the compiler may take on a machine that has compiled nothing yet, and how
// long a program lives whatever happens to its test.
const buildTimeout = 5 * 60_000;
const lifetime = 60_000;

/** Builds the program into a new temporary folder and returns both. */
export async function build() {
  const folder = await mkdtemp(join(tmpdir(), "stepup-browser-"));
  const program = join(folder, "stepup");
  const go = process.env.GO || "go";
  await promisify(execFile)(go, ["build", "-o", program, "./cmd/stepup"], { cwd: root, timeout: buildTimeout });
  return { program, remove: () => rm(folder, { recursive: true }) };
}

/** Starts `stepup dev` on a free port and an empty folder. */
export async function start(program) {
  const data = await mkdtemp(join(tmpdir(), "stepup-data-"));
  const child = spawn(program, ["dev", "--listen", "127.0.0.1:0", "--data", data], {
    env: { PATH: process.env.PATH, HOME: data },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: lifetime,
    killSignal: "SIGKILL",
  });
  const ended = once(child, "exit");
  const page = await printedPage(child);
  return {
    page,
    stop: async () => {
      child.kill("SIGTERM");
      const [code] = await ended;
      if (code !== 0) {
        throw new Error(`stepup dev ended with ${code}`);
      }
      await rm(data, { recursive: true });
    },
  };
}

// printedPage reads the URL of the passkey page out of what the program prints.
async function printedPage(child) {
  let url;
  for await (const line of createInterface({ input: child.stdout })) {
    [, url] = line.match(/^ *passkeys +(http:\/\/localhost:\d+\/\S+)$/) ?? [];
    if (url) {
      break;
    }
  }
  if (!url) {
    throw new Error("stepup dev ended without printing the URL of its passkey page");
  }
  child.stdout.resume(); // nobody reads the rest, and it must not fill the pipe
  return new URL(url);
}

/** A client of the REST API with the key of the page. */
export function client(page) {
  const key = new URLSearchParams(page.hash.slice(1)).get("key");
  return {
    key,
    async get(path) {
      const response = await fetch(new URL(path, page), {
        headers: { Authorization: `Bearer ${key}` },
        signal: AbortSignal.timeout(10_000),
      });
      return response.json();
    },
  };
}
