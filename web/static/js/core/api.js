// Asks the server, and keeps in this browser what must not be lost: what is typed, what is on its way, copies of documents.
import { showError, t } from "./text.js";

/** @import {Day, ImageModel, Job, Mark, Queue, Suggestion, Tile, Turn} from "../types.js" */

const MOST_IN_TRAIL = 600; // pictures

// What is stored: the theme and shortcuts for good; what is typed or on its way for this tab and its person; copies of
// documents that the server hasn't got yet, each for its person. Storage may be shut off; then nothing is kept.

/**
 * @param {() => Storage} storage
 * @param {string} name
 * @returns {string | null}
 */
function readKept(storage, name) {
  try {
    return storage().getItem(`atelier.${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {() => Storage} storage
 * @param {string} name
 * @param {string | null} value  null = forget
 */
function writeKept(storage, name, value) {
  try {
    if (value === null) storage().removeItem(`atelier.${name}`);
    else storage().setItem(`atelier.${name}`, value);
  } catch {
    // Shut off, or full: it holds until the page is left.
  }
}

/** @param {string} name */
export const keptForGood = (name) => readKept(() => localStorage, name);

/**
 * @param {string} name
 * @param {string | null} value  null = forget
 */
export const keepForGood = (name, value) => writeKept(() => localStorage, name, value);

/** Who is signed in on this page: what is kept for one isn't shown to the next. */
export const personId = () => document.body.dataset.person ?? "";

/**
 * What this tab keeps for its person.
 * @param {string} name
 * @returns {unknown}  null = nothing
 */
export const keptHere = (name) => JSON.parse(readKept(() => sessionStorage, `${personId()}.${name}`) ?? "null");

/**
 * @param {string} name
 * @param {unknown} value  null = forget
 */
export const keepHere = (name, value) => writeKept(() => sessionStorage, `${personId()}.${name}`, value === null ? null : JSON.stringify(value));

/** Leave a note for the next page of this tab. @param {string} name @param {string} text */
export const leaveNote = (name, text) => writeKept(() => sessionStorage, name, text);

/** The note that a page before has left, for no other to find. @param {string} name */
export function takeNote(name) {
  const text = readKept(() => sessionStorage, name);
  writeKept(() => sessionStorage, name, null);
  return text;
}

/**
 * Keep the way through the pictures: the page that is left has an order, so that the viewer knows what comes next.
 * @param {string[]} hrefs  as they stand on the page
 */
export function keepTrail(hrefs) {
  leaveNote("trail", JSON.stringify({ hrefs: hrefs.slice(0, MOST_IN_TRAIL), back: location.pathname + location.search + location.hash }));
  history.replaceState({ ...history.state, scroll: scrollY }, ""); // the browser forgets it where the page is drawn late
}

/**
 * Let a field show again what was typed into it until that is sent, also after the page was left.
 * @param {HTMLTextAreaElement} field
 * @param {string} name
 */
export function keepField(field, name) {
  if (!field.value) field.value = String(keptHere(name) ?? "");
  field.addEventListener("input", () => keepHere(name, field.value || null));
}

/** @type {Promise<IDBDatabase> | undefined} stays open: a page that is left has no time to open it */
let opened;

/** @returns {Promise<IDBDatabase>} */
const openCopies = () => new Promise((done, failed) => {
  const opening = indexedDB.open("atelier", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("documents");
  opening.onerror = () => failed(opening.error);
  opening.onsuccess = () => {
    opening.result.onclose = () => (opened = undefined);
    done(opening.result);
  };
});

/**
 * Do something with the copies of documents.
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(all: IDBObjectStore) => IDBRequest<T>} work
 * @returns {Promise<T>}
 */
export async function withCopies(mode, work) {
  const database = await (opened ??= openCopies().catch((error) => {
    opened = undefined;
    throw error;
  }));
  return new Promise((done, failed) => {
    const asked = work(database.transaction("documents", mode).objectStore("documents"));
    asked.transaction?.commit(); // at once: the page may be gone before it would by itself
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}

/** The key of a copy. @param {string} document  its id, or where it began */
export const copyKey = (document) => `${personId()} ${document}`;

/** What is done before somebody signs out. @type {(() => unknown)[]} */
export const beforeSignOut = [];

/** Forget everything but the theme and shortcuts: who comes next shall find nothing. */
export async function forgetKept() {
  try {
    for (const name of Object.keys(sessionStorage)) if (name.startsWith("atelier.")) sessionStorage.removeItem(name);
    await withCopies("readwrite", (all) => all.clear());
    for (const name of await caches.keys()) if (!name.startsWith("shell")) await caches.delete(name);
  } catch {
    // Shut off: nothing was kept.
  }
}

// Every failure to get an answer becomes a Problem, whose text can be shown as it is.

const AWAY = t("The studio doesn't answer. Check that it runs, then try again.");
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
export const pauseBefore = (tries, chance = Math.random()) => Math.min(LONGEST, FIRST * 2 ** tries) * (0.75 + chance / 2);

/** Whether the same may go well a little later. @param {unknown} error */
const isPassing = (error) => error instanceof Problem && PASSES.includes(error.status);

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
      if (!isPassing(error)) throw error;
      onWait(error);
      await new Promise((done) => setTimeout(done, pauseBefore(tries)));
    }
  }
}

/** Lead to where people sign in, and from there back to this page, unless the page is on its way out: that would break it off. */
export const toSignIn = () => "leaving" in document.body.dataset || location.assign(`/in?next=${encodeURIComponent(location.pathname + location.search + location.hash)}`);

/**
 * @param {Response} response
 * @returns {Promise<unknown>}
 */
async function readBody(response) {
  if (response.status === 204) return null;
  const type = response.headers.get("Content-Type") ?? "";
  return type.includes("json") ? response.json() : null;
}

/**
 * The whole answer, unless the line is dead or the caller gives up.
 * @param {string} path
 * @param {RequestInit} options
 */
async function fetchWhole(path, options) {
  const limit = new AbortController();
  const { body, method = "GET", signal } = options;
  const ms = body && typeof body !== "string" ? Infinity : method === "GET" ? PATIENCE.read : PATIENCE.change;
  const timer = ms < Infinity ? setTimeout(() => limit.abort(), ms) : undefined;
  try {
    const all = signal ? AbortSignal.any([limit.signal, signal]) : limit.signal;
    const headers = { ...options.headers, ...(personId() && { "X-Person": personId() }) }; // another tab may have signed somebody else in
    const response = await fetch(path, { ...options, headers, signal: all, credentials: "same-origin" });
    return { response, body: await readBody(response) };
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
async function fetchAt(path, options) {
  const { response, body } = await fetchWhole(path, options);
  if (response.ok) return { body, at: Number(response.headers.get("X-Point")) };
  const known = /** @type {Record<string, unknown>} */ (body ?? {});
  if (response.status === 401) toSignIn();
  const detail = known.detail ?? known.title ?? t("The studio answered {0}. Try again.", response.status);
  throw new Problem(response.status, String(detail), known);
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<unknown>}
 */
export const fetchJson = async (path, options) => (await fetchAt(path, options)).body;

/**
 * @param {string} method
 * @param {unknown} body
 */
const jsonOptions = (method, body) => ({ method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }) });

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 */
export const sendJson = (method, path, body) => fetchJson(path, jsonOptions(method, body));

/**
 * The jobs of an answer, each with its point.
 * @param {{body: unknown, at: number}} answer
 */
const jobsOf = ({ body, at }) => /** @type {{jobs: Job[]}} */ (body).jobs.map((job) => ({ ...job, at }));

/** A new name for a wish, so that the server sees when it comes a second time. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");

/**
 * The newest jobs of the reader's: those of `show` only, and before a job what is older.
 * @param {{show?: string, before?: string}} [which]
 * @returns {Promise<Job[]>}
 */
export const readJobs = async (which = {}) => jobsOf(await fetchAt(`/api/jobs?${new URLSearchParams(which)}`, {}));

/** The questions of a conversation before one, with their answers, the first one first. @param {string} id @returns {Promise<Turn[]>} */
export const readTurns = async (id) => /** @type {{turns: Turn[]}} */ (await fetchJson(`/api/talk/${id}`, {})).turns.slice(0, -1);

/** @param {string} id */
export async function readJob(id) {
  const { body, at } = await fetchAt(`/api/jobs/${id}`, {});
  return { .../** @type {Job} */ (body), at };
}

/**
 * Ask for what `prompt` says. The key lets the server see that a second try is the same wish.
 * @param {string} prompt
 * @param {string[]} pictures  names, also of videos
 * @param {string} key
 * @param {string} [to]  what is to be done with videos, "" = guess
 */
export const sendJob = async (prompt, pictures, key, to = "") => jobsOf(await fetchAt("/api/jobs", jsonOptions("POST", { prompt, pictures, key, ...(to && { do: to }) })));

/**
 * Queue the jobs of a question. `detail`: why it isn't all of them.
 * @param {string} draft
 */
export const confirmDraft = async (draft) => /** @type {{jobs: Job[], detail?: string}} */ (await sendJson("POST", `/api/drafts/${draft}`, {}));

/**
 * @param {string} job
 * @param {number} n  from 1; 1 too for the job as a whole
 * @param {string} action
 * @param {Record<string, unknown>} more  what the action asks for besides, such as new words
 * @param {string} key  lets the server see that a second try is the same wish
 */
export const pressJob = async (job, n, action, more, key) => jobsOf(await fetchAt(`/api/jobs/${job}/${n}/${action}`, jsonOptions("POST", { ...more, key })));

/** @param {string} job */
export const cancelJob = (job) => sendJson("POST", `/api/jobs/${job}/cancel`, {});

/** @param {string} job */
export const deleteJob = (job) => sendJson("DELETE", `/api/jobs/${job}`);

/**
 * @param {string} job
 * @param {number} n
 * @param {boolean} on
 */
export const setFavourite = (job, n, on) => sendJson(on ? "PUT" : "DELETE", `/api/favourites/${job}/${n}`);

/**
 * @param {URLSearchParams} query
 * @param {AbortSignal} [signal]
 */
export const readPictures = async (query, signal) =>
  /** @type {{pictures: Tile[], older: string | null, skipped?: number, note?: string}} */ (await fetchJson(`/api/pictures?${query}`, { signal }));

/**
 * What channels that the reader can read have made.
 * @param {URLSearchParams} query
 * @param {AbortSignal} [signal]
 */
export const readShown = async (query, signal) =>
  /** @type {{pictures: Tile[], older: string | null, skipped?: number}} */ (await fetchJson(`/api/explore?${query}`, { signal }));

export const readQueues = async () => /** @type {{queues: Queue[]}} */ (await fetchJson("/api/queues", {})).queues;

/** The days of one's pictures; null where some fit better than others. @param {URLSearchParams} query */
export const readDays = async (query) => /** @type {{days: Day[] | null}} */ (await fetchJson(`/api/days?${query}`, {})).days;

/**
 * @param {string} text  "" = also the models to choose among
 * @param {AbortSignal} [signal]
 */
export const readSuggestions = async (text, signal) =>
  /** @type {{suggestions: Suggestion[], marks: Mark[], draws: string[], models: ImageModel[]}} */ (await fetchJson(`/api/complete?text=${encodeURIComponent(text)}`, { signal }));

/**
 * @param {string} path
 * @param {Blob} body
 * @param {string} name
 */
const sendFile = (path, body, name) => fetchJson(path, { method: "POST", body, headers: { "Content-Type": body.type || "application/octet-stream", "X-Name": encodeURIComponent(name) } });

/** @param {Blob} file @param {string} name */
export const upload = async (file, name) => /** @type {{sha256: string, width: number, height: number, thumb: string}} */ (await sendFile("/api/uploads", file, name));

/** A video to go on from. @param {Blob} file @param {string} name */
export const uploadClip = async (file, name) => /** @type {{clip: string, seconds: number, thumb: string}} */ (await sendFile("/api/clips", file, name));

/** A video to ask about. @param {Blob} file @param {string} name */
export const uploadVideo = async (file, name) => /** @type {{video: string, frames: number, seconds: number, thumb: string}} */ (await sendFile("/api/videos", file, name));

/** @param {Record<string, unknown>} values */
export const saveSettings = (values) => sendJson("PATCH", "/api/settings", values);

/** @param {string} token */
export const readSignIn = async (token) => /** @type {{name: string, local: boolean}} */ (await sendJson("POST", "/api/sign-in/look", { token }));

/** @param {{token?: string, who?: string}} how */
export const signIn = (how) => sendJson("POST", "/api/session", how);

/** Have a picture sent to one's direct messages. @param {string} job @param {string} n */
export const sendToMe = (job, n) => sendJson("POST", `/api/activity/send/${job}/${n}`, {});

/** A link that opens a page in a browser, signed in. @param {string} page */
export const linkOutside = async (page) => /** @type {{link: string}} */ (await sendJson("POST", "/api/activity/leave", { page })).link;

/** @param {{name: string, scopes: string[], days: number}} what */
export const makeToken = async (what) => /** @type {{name: string, token: string}} */ (await sendJson("POST", "/api/tokens", what));

/** @param {Record<string, unknown>} what */
export const makeWebhook = async (what) => /** @type {{secret: string}} */ (await sendJson("POST", "/api/webhooks", what));

/** @param {string} id */
export const endSession = (id) => sendJson("DELETE", `/api/sessions/${id}`);

// What was sent and must not be lost: kept in this tab until the server has answered, and tried again by itself.

/** `name`: a later letter of the same name takes its place while it waits. `mask`: a PNG file in base64 that is sent first. */
/** @typedef {{name: string, method: string, path: string, body?: Record<string, unknown>, mask?: string}} Letter */
/** What a page does with its letters. @typedef {{changed?: () => void, refused?: (letter: Letter, error: unknown) => void}} Sender */

const TRIES = 8; // of a wish that somebody waits for: 45 s, longer than a restart takes

/** @param {Letter} letter */
async function deliver({ method, path, body, mask }) {
  if (!mask) return sendJson(method, path, body);
  const file = Uint8Array.from(atob(mask), (letter) => letter.charCodeAt(0));
  const { sha256 } = /** @type {{sha256: string}} */ (await fetchJson("/api/masks", { method: "POST", body: file, headers: { "Content-Type": "image/png" } }));
  return sendJson(method, path, { ...body, mask: sha256 });
}

export class Outbox {
  /** @param {(letter: Letter) => Promise<unknown>} [send]  raises Problem */
  constructor(send = deliver) {
    this.send = send;
    /** @type {Letter[]} the first one is on its way */
    this.letters = /** @type {Letter[] | null} */ (keptHere("outbox")) ?? [];
    /** @type {Map<string, Sender>} by the beginnings of names */
    this.senders = new Map();
    this.isStuck = false; // the last try found nobody
    /** @type {Promise<void> | null} until nothing waits any more */
    this.going = null;
    beforeSignOut.push(() => this.going);
    if (this.letters.length) this.#go();
  }

  /**
   * Send a letter when its turn comes.
   * @param {Letter} letter
   */
  put(letter) {
    const [first, ...others] = this.letters;
    this.letters = [...(first ? [first] : []), ...others.filter(({ name }) => name !== letter.name), letter];
    this.#kept(letter.name);
    this.#go();
  }

  /**
   * Those whose names begin so and that have no answer yet.
   * @param {string} beginning
   */
  waiting(beginning) {
    return this.letters.filter(({ name }) => name.startsWith(beginning));
  }

  #go() {
    this.going ??= this.#sendAll();
  }

  async #sendAll() {
    for (let [letter] = this.letters; letter; [letter] = this.letters) {
      const one = letter;
      const stuck = () => {
        this.isStuck = true;
        this.#sender(one.name)?.changed?.();
      };
      const error = await untilAnswered(() => this.send(one), stuck).then(() => null, (/** @type {unknown} */ refusal) => refusal ?? "Refused");
      this.isStuck = false;
      if (status(error) === 401) break; // the page leads to where people sign in; it goes on afterwards
      this.letters = this.letters.slice(1);
      this.#kept(one.name);
      if (error) (this.#sender(one.name)?.refused ?? ((_, why) => showError(why)))(one, error);
    }
    this.going = null;
  }

  /** @param {string} name  of the letter that has come or gone */
  #kept(name) {
    keepHere("outbox", this.letters.length ? this.letters : null);
    this.#sender(name)?.changed?.();
  }

  /** @param {string} name */
  #sender(name) {
    return [...this.senders].find(([beginning]) => name.startsWith(beginning))?.[1];
  }
}

/** @param {unknown} error */
const status = (error) => /** @type {{status?: number} | null} */ (error)?.status;

/** @type {Outbox | undefined} */
let pageOutbox;

/** The page's outbox, which goes on with what the page before it has left. */
export const outbox = () => (pageOutbox ??= new Outbox());

/** @type {Set<string>} keys of wishes that this page waits for */
const awaited = new Set();

/**
 * Ask for something that is made once, however often it has to be asked: as long as there was no answer, the same
 * wish has the same key, also after the page was left.
 * @template T
 * @param {unknown} wish  what is asked for, in JSON
 * @param {(key: string) => Promise<T>} send
 */
export async function sendOnce(wish, send) {
  const said = JSON.stringify(wish);
  const before = /** @type {{said: string, key: string} | null} */ (keptHere("wish"));
  const key = before?.said === said && !awaited.has(before.key) ? before.key : newKey(); // asked twice on purpose, it is two
  awaited.add(key);
  keepHere("wish", { said, key });
  let tries = 0;
  try {
    const answer = await untilAnswered(() => send(key), (error) => {
      tries += 1;
      if (tries >= TRIES || status(error) === 429) throw error;
    });
    keepHere("wish", null);
    return answer;
  } catch (error) {
    if (!isPassing(error)) keepHere("wish", null);
    throw error;
  } finally {
    awaited.delete(key);
  }
}

// About pictures that are named one by one

/** @typedef {{job: string, n: number}} Named */
/** @typedef {{id: string, name: string, href: string, query: string | null, pictures: number | null, links: number}} Folder  links: how many show it */

const AT_ONCE = 2000; // pictures that one call names

/** @param {Named} picture */
export const pictureName = ({ job, n }) => `${job}/${n}`;

/**
 * Send all names to a path, so many at a time as it takes. Returns how many it counted.
 * @param {string} path
 * @param {string[]} names
 */
async function sendNames(path, names) {
  let count = 0;
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const told = /** @type {{count?: number}} */ (await sendJson("POST", path, { pictures: names.slice(at, at + AT_ONCE) }));
    count += told.count ?? 0;
  }
  return count;
}

/** @param {string[]} names */
export const moveToTrash = (names) => sendNames("/api/trash", names);

/** @param {string[]} names */
export const restorePictures = (names) => sendNames("/api/trash/restore", names);

/** @param {string[]} names */
export const deletePictures = (names) => sendNames("/api/trash/delete", names);

export const emptyTrash = async () => /** @type {{count: number}} */ (await sendJson("DELETE", "/api/trash")).count;

export const readFolders = async () => /** @type {{folders: Folder[]}} */ (await fetchJson("/api/folders", {})).folders;

/**
 * @param {string} name
 * @param {string} [query]  the filters of a smart one
 */
export const makeFolder = async (name, query) => /** @type {Folder} */ (await sendJson("POST", "/api/folders", { name, ...(query === undefined ? {} : { query }) }));

/**
 * @param {string} folder
 * @param {string[]} names
 */
export const putInFolder = (folder, names) => sendNames(`/api/folders/${folder}/items`, names);

/**
 * @param {string} folder
 * @param {string[]} names
 */
export const takeOutOfFolder = (folder, names) => sendNames(`/api/folders/${folder}/items/remove`, names);

/** @param {{job?: string, n?: number, folder?: string, title: string, words: boolean, embed: boolean, days: number}} what */
export const makeShare = async (what) => /** @type {{id: string, link: string, expires: string}} */ (await sendJson("POST", "/api/shares", what));
