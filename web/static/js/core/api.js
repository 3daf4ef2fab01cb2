// Asks the server. Every failure becomes a Problem, whose text can be shown as it is.

import { person } from "./kept.js";

/** @import {Job, Month, Queue, Suggestion, Tile} from "../types.js" */

const AWAY = "The studio doesn't answer. Check that it runs, then try again.";
const PATIENCE = { read: 20_000, change: 60_000 }; // ms for a whole answer; a file may take as long as it takes
const [FIRST, LONGEST] = [500, 15_000]; // ms until the first new try, and between later ones
const PASSES = [0, 429, 502, 503, 504]; // what is wrong is neither with the one who asks nor with the question

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
 * ms to wait before try number `tries`, from 0: doubled each time, and spread so that not all tabs come at once.
 * @param {number} tries
 * @param {number} [chance]  0 to 1
 */
export const pause = (tries, chance = Math.random()) => Math.min(LONGEST, FIRST * 2 ** tries) * (0.75 + chance / 2);

/** Whether the same may go well a little later. @param {unknown} error */
export const passes = (error) => error instanceof Problem && PASSES.includes(error.status);

/**
 * Do something until there is an answer; a refusal is one.
 * @template T
 * @param {() => Promise<T>} work  that may be done twice
 * @param {(error: unknown) => void} [onWait]  it didn't go well, and is tried again soon
 * @returns {Promise<T>}
 */
export async function untilAnswered(work, onWait = () => {}) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (!passes(error)) throw error;
      onWait(error);
      await new Promise((done) => setTimeout(done, pause(tries)));
    }
  }
}

/** Lead to where people sign in, and from there back to this page, unless the page is on its way out: that would break it off. */
export const toSignIn = () => "leaving" in document.body.dataset || location.assign(`/in?next=${encodeURIComponent(location.pathname + location.search + location.hash)}`);

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
 * The whole answer, unless the line is dead or the caller gives up.
 * @param {string} path
 * @param {RequestInit} options
 */
async function answered(path, options) {
  const limit = new AbortController();
  const { body, method = "GET", signal } = options;
  const ms = body && typeof body !== "string" ? Infinity : method === "GET" ? PATIENCE.read : PATIENCE.change;
  const timer = ms < Infinity ? setTimeout(() => limit.abort(), ms) : undefined;
  try {
    const all = signal ? AbortSignal.any([limit.signal, signal]) : limit.signal;
    const headers = { ...options.headers, ...(person() && { "X-Person": person() }) }; // another tab may have signed somebody else in
    const response = await fetch(path, { ...options, headers, signal: all, credentials: "same-origin" });
    return { response, body: await read(response) };
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, AWAY);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What the server says, and the point of its news that it is as new as.
 * @param {string} path
 * @param {RequestInit} options
 */
async function asked(path, options) {
  const { response, body } = await answered(path, options);
  if (response.ok) return { body, at: Number(response.headers.get("X-Point")) };
  const known = /** @type {Record<string, unknown>} */ (body ?? {});
  if (response.status === 401) toSignIn();
  const detail = known.detail ?? known.title ?? `The studio answered ${response.status}. Try again.`;
  throw new Problem(response.status, String(detail), known);
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<unknown>}
 */
export const ask = async (path, options) => (await asked(path, options)).body;

/**
 * @param {string} method
 * @param {unknown} body
 */
const json = (method, body) => ({ method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }) });

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 */
export const change = (method, path, body) => ask(path, json(method, body));

/**
 * The jobs of an answer, each with its point.
 * @param {{body: unknown, at: number}} answer
 */
const jobsOf = ({ body, at }) => /** @type {{jobs: Job[]}} */ (body).jobs.map((job) => ({ ...job, at }));

/** A new name for a wish, so that the server sees when it comes a second time. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");

/** @returns {Promise<Job[]>} live ones first */
export const readJobs = async () => jobsOf(await asked("/api/jobs", {}));

/** @param {string} id */
export async function readJob(id) {
  const { body, at } = await asked(`/api/jobs/${id}`, {});
  return { .../** @type {Job} */ (body), at };
}

/**
 * Ask for what `prompt` says. The key lets the server see that a second try is the same wish.
 * @param {string} prompt
 * @param {string[]} pictures  names, also of films
 * @param {string} key
 * @param {string} [to]  what is to be done with films, "" = guess
 */
export const send = async (prompt, pictures, key, to = "") => jobsOf(await asked("/api/jobs", json("POST", { prompt, pictures, key, ...(to && { do: to }) })));

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
export const press = async (job, n, action, more, key) => jobsOf(await asked(`/api/jobs/${job}/${n}/${action}`, json("POST", { ...more, key })));

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
 * @param {string} path
 * @param {Blob} body
 * @param {string} name
 */
const sendFile = (path, body, name) => ask(path, { method: "POST", body, headers: { "Content-Type": body.type || "application/octet-stream", "X-Name": encodeURIComponent(name) } });

/** @param {Blob} file @param {string} name */
export const upload = async (file, name) => /** @type {{sha256: string, width: number, height: number, thumb: string}} */ (await sendFile("/api/uploads", file, name));

/** A film to go on from. @param {Blob} file @param {string} name */
export const uploadClip = async (file, name) => /** @type {{clip: string, seconds: number, thumb: string}} */ (await sendFile("/api/clips", file, name));

/** A film to ask about. @param {Blob} file @param {string} name */
export const uploadFilm = async (file, name) => /** @type {{film: string, frames: number, seconds: number, thumb: string}} */ (await sendFile("/api/films", file, name));

/** @param {Record<string, unknown>} values */
export const saveSettings = (values) => change("PATCH", "/api/settings", values);

/** @param {string} token */
export const lookAt = async (token) => /** @type {{name: string}} */ (await change("POST", "/api/sign-in/look", { token }));

/** @param {{token?: string, who?: string}} how */
export const signIn = (how) => change("POST", "/api/session", how);

/** @param {string} id */
export const endSession = (id) => change("DELETE", `/api/sessions/${id}`);
