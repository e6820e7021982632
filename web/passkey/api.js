// Calls of the REST API. A refusal is an exception with the id that the API gives it.

/** What the API answered instead of doing it. */
export class Refusal extends Error {
  constructor(status, answer) {
    const detail = answer.details?.find((d) => d.id);
    super(detail?.message ?? answer.message ?? "no answer that this page understands");
    this.status = status;
    this.id = detail?.id ?? `HTTP ${status}`;
  }
}

/** Makes one call and returns its status and answer, whatever they are. */
export async function send(key, { method, path, body }) {
  const response = await fetch(path, {
    method,
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  try {
    return { status: response.status, answer: JSON.parse(text) };
  } catch {
    return { status: response.status, answer: { message: text } };
  }
}
