// The list of what was called: one entry for each button that was pressed, with every
// call of the API and of the browser below it.
import { Refusal, send } from "./api.js";
import * as webauthn from "./webauthn.js";

const list = document.querySelector("#calls");

/** One press of a button. Its calls are shown as they are made. */
export class Run {
  #key;
  #steps;

  constructor(title, key) {
    for (const earlier of list.querySelectorAll(":scope > li > details")) {
      earlier.open = false;
    }
    const entry = copy("#run");
    entry.querySelector("summary").textContent = title;
    this.#steps = entry.querySelector("ol");
    this.#key = key;
    list.prepend(entry);
  }

  /** Calls the API and returns its answer, or throws a Refusal. */
  async call(why, method, path, body) {
    const step = this.#step(why, `${method} ${path}`, body);
    const { status, answer } = await send(this.#key, { method, path, body });
    const refused = status >= 400;
    step.end(String(status), answer, refused);
    if (refused) {
      throw new Refusal(status, answer);
    }
    return answer;
  }

  /** Asks the browser for a new credential. */
  create(why, options) {
    return this.#ask(why, "create", options);
  }

  /** Asks the browser for an assertion. */
  get(why, options) {
    return this.#ask(why, "get", options);
  }

  async #ask(why, verb, options) {
    const step = this.#step(why, `navigator.credentials.${verb}()`, options);
    try {
      const credential = await webauthn[verb](options);
      step.end("done", credential, false);
      return credential;
    } catch (error) {
      step.end(error.name, { message: error.message }, true);
      throw error;
    }
  }

  #step(why, what, sent) {
    const entry = copy("#step");
    const part = (name) => entry.querySelector(name);
    part(".why").textContent = why;
    part(".what").textContent = what;
    part(".result").textContent = "…";
    show(part(".sent"), sent);
    show(part(".answer"), undefined);
    this.#steps.append(entry);
    return {
      end(result, answer, failed) {
        part(".result").textContent = result;
        part(".result").classList.add(failed ? "bad" : "good");
        show(part(".answer"), answer);
      },
    };
  }
}

/** A copy of what is in a template. */
export function copy(template) {
  return document.querySelector(template).content.firstElementChild.cloneNode(true);
}

// show writes one side of a call as JSON, and hides it where there is none.
function show(figure, value) {
  figure.hidden = value === undefined;
  figure.querySelector("pre").textContent = JSON.stringify(value, null, 2);
}
