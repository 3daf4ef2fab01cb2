// Asks the server. Every failure becomes a Problem, whose text can be shown as it is.

/** @import {Job, Month, Queue, Suggestion, Tile} from "../types.js" */

const AWAY = "The studio doesn't answer. Check that it runs, then try again.";

/** An answer that isn't the one that was wanted. */
export class Problem extends Error {
  /**
   * @param {number} status  0 = no answer
   * @param {string} detail
   * @param {Record<string, unknown>} [body]
   */
  constructor(status, detail, body = {}) {
    super(detail);
    this.status = status;
    this.body = body;
  }
}

/**
 * @param {Response} response
 * @returns {Promise<unknown>}
 */
async function read(response) {
  if (response.status === 204) return null;
  const type = response.headers.get("Content-Type") ?? "";
  return type.includes("json") ? response.json() : null;
}

/**
 * @param {string} path
 * @param {RequestInit} options
 */
async function answered(path, options) {
  try {
    return await fetch(path, { ...options, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, AWAY);
  }
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<unknown>}
 */
export async function ask(path, options) {
  const response = await answered(path, options);
  const body = await read(response);
  if (response.ok) return body;
  const known = /** @type {Record<string, unknown>} */ (body ?? {});
  if (response.status === 401) location.assign("/in");
  const detail = known.detail ?? known.title ?? `The studio answered ${response.status}. Try again.`;
  throw new Problem(response.status, String(detail), known);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 */
export function change(method, path, body) {
  const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return ask(path, { method, ...json });
}

/** @param {unknown} body */
const jobsOf = (body) => /** @type {{jobs: Job[]}} */ (body).jobs;

/** A new name for a wish, so that the server sees when it comes a second time. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");

/** @returns {Promise<Job[]>} live ones first */
export const readJobs = async () => jobsOf(await ask("/api/jobs", {}));

/** @param {string} id */
export const readJob = async (id) => /** @type {Job} */ (await ask(`/api/jobs/${id}`, {}));

/**
 * Ask for what `prompt` says. The key lets the server see that a second try is the same wish.
 * @param {string} prompt
 * @param {string[]} pictures  names, also of films
 * @param {string} key
 * @param {string} [to]  what is to be done with films, "" = guess
 */
export const send = async (prompt, pictures, key, to = "") => jobsOf(await change("POST", "/api/jobs", { prompt, pictures, key, ...(to && { do: to }) }));

/**
 * Queue the jobs of a question. `detail`: why it isn't all of them.
 * @param {string} draft
 */
export const confirmDraft = async (draft) => /** @type {{jobs: Job[], detail?: string}} */ (await change("POST", `/api/drafts/${draft}`, {}));

/**
 * @param {string} job
 * @param {number} n  from 1; 1 too for the job as a whole
 * @param {string} action
 * @param {Record<string, string>} more  what the action asks for besides, such as new words
 * @param {string} key  lets the server see that a second try is the same wish
 */
export const press = async (job, n, action, more, key) => jobsOf(await change("POST", `/api/jobs/${job}/${n}/${action}`, { ...more, key }));

/** @param {string} job */
export const cancel = (job) => change("POST", `/api/jobs/${job}/cancel`, {});

/** @param {string} job */
export const remove = (job) => change("DELETE", `/api/jobs/${job}`);

/**
 * @param {string} job
 * @param {number} n
 * @param {boolean} on
 */
export const favour = (job, n, on) => change(on ? "PUT" : "DELETE", `/api/favourites/${job}/${n}`);

/**
 * @param {URLSearchParams} query
 * @param {AbortSignal} [signal]
 */
export const readPictures = async (query, signal) =>
  /** @type {{pictures: Tile[], older: string | null, skipped?: number, note?: string}} */ (await ask(`/api/pictures?${query}`, { signal }));

/**
 * What channels that the reader can read have made.
 * @param {URLSearchParams} query
 * @param {AbortSignal} [signal]
 */
export const readShown = async (query, signal) =>
  /** @type {{pictures: Tile[], older: string | null, skipped?: number}} */ (await ask(`/api/explore?${query}`, { signal }));

export const readQueues = async () => /** @type {{queues: Queue[]}} */ (await ask("/api/queues", {})).queues;

/** @param {URLSearchParams} query */
export const readMonths = async (query) => /** @type {{months: Month[]}} */ (await ask(`/api/months?${query}`, {})).months;

/**
 * @param {string} text
 * @param {AbortSignal} signal
 */
export const complete = async (text, signal) =>
  /** @type {{suggestions: Suggestion[]}} */ (await ask(`/api/complete?text=${encodeURIComponent(text)}`, { signal })).suggestions;

/**
 * @param {Blob} file
 * @param {string} name
 */
export const upload = async (file, name) =>
  /** @type {{sha256: string, width: number, height: number, thumb: string}} */ (
    await ask("/api/uploads", {
      method: "POST",
      body: file,
      headers: { "Content-Type": file.type || "application/octet-stream", "X-Name": encodeURIComponent(name) },
    })
  );

/**
 * A film to go on from.
 * @param {Blob} file
 * @param {string} name
 */
export const uploadClip = async (file, name) =>
  /** @type {{clip: string, seconds: number, thumb: string}} */ (
    await ask("/api/clips", {
      method: "POST",
      body: file,
      headers: { "Content-Type": file.type || "application/octet-stream", "X-Name": encodeURIComponent(name) },
    })
  );

/**
 * A film to ask about.
 * @param {Blob} file
 * @param {string} name
 */
export const uploadFilm = async (file, name) =>
  /** @type {{film: string, frames: number, seconds: number, thumb: string}} */ (
    await ask("/api/films", {
      method: "POST",
      body: file,
      headers: { "Content-Type": file.type || "application/octet-stream", "X-Name": encodeURIComponent(name) },
    })
  );

/** @param {Record<string, unknown>} values */
export const saveSettings = (values) => change("PATCH", "/api/settings", values);

/** @param {string} token */
export const lookAt = async (token) => /** @type {{name: string}} */ (await change("POST", "/api/sign-in/look", { token }));

/** @param {{token?: string, who?: string}} how */
export const signIn = (how) => change("POST", "/api/session", how);

/** @param {string} id */
export const endSession = (id) => change("DELETE", `/api/sessions/${id}`);
