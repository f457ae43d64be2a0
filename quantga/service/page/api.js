// Asking the service. Whoever is not logged in any more is sent to the front page, which asks for a token.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function get(path, signal) {
  return ask(path, { signal });
}

let whoAmI;
export const who = () => (whoAmI ??= get("about").catch((error) => ((whoAmI = undefined), Promise.reject(error))));

export async function post(path, body) {
  return ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

async function ask(path, more) {
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}`, { credentials: "same-origin", ...more });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The service does not answer. Is `quantga serve` running?");
  }
  if (answer.status === 401) location.assign("/");
  const told = await answer.json().catch(() => ({ error: `the service answered ${answer.status}` }));
  if (!answer.ok) throw new Refused(answer.status, told.error);
  return told;
}

// Follow a run; returns what ends the following.
export function follow(run, onGeneration, onFinished, onState) {
  const source = new EventSource(`/api/v1/runs/${run}/events`);
  source.addEventListener("generation", (event) => onGeneration(JSON.parse(event.data)));
  source.addEventListener("finished", () => {
    source.close();
    onFinished();
  });
  source.addEventListener("open", () => onState(true));
  source.addEventListener("error", () => onState(false));
  return () => source.close();
}
