// Keeps the document: in this browser a second after a change, on the server when it is new, it is quiet or the page is left.
import { ask, change, Problem } from "../js/core/api.js";
import { copies, copyOf, keepHere, keptHere, lastly } from "../js/core/kept.js";
import { filesOf, fromWritten, kept, written } from "./document.js";
import { Mask } from "./mask.js";
import { decode, encode } from "./png.js";

/** @import {Base, State} from "./document.js" */

/** What this browser keeps as long as the server hasn't got it. `files`: the masks that are named, by the layers that they cut. `tried`: what was sent, newest first, of which the answers never came. @typedef {{text: string, files: [at: string, file: Blob][], version: number, id: string | null, tried: string[]}} Kept */
/** @typedef {{id: string, version: number, document: Parameters<typeof fromWritten>[0]}} Stored */

const SOON = 1000; // ms until it is in this browser
const QUIET = 10_000; // ms without a change until it is on the server
const MOST_TRIED = 5;
const TAIL = 60_000; // bytes that a browser sends on after its page is gone

/** @type {WeakMap<Base, Promise<Blob>>} */
const files = new WeakMap();

/** A mask as a file. @param {Base} base */
function fileOf(base) {
  const known = files.get(base);
  if (known) return known;
  const mask = new Mask(base.width, base.height);
  base.tiles.put(mask);
  const file = encode(mask.bits, mask.width, mask.height);
  files.set(base, file);
  return file;
}

/** @param {Blob} file @param {string | null} sha256 @returns {Promise<Base>} */
async function baseOf(file, sha256) {
  const { width, height, bits } = await decode(new Uint8Array(await file.arrayBuffer()));
  const base = kept(Object.assign(new Mask(0, 0), { width, height, bits }), sha256);
  files.set(base, Promise.resolve(file));
  return base;
}

/** Send the masks that a state names and the server hasn't got. @param {State} state */
export async function sendFiles(state) {
  for (const base of filesOf(state).values()) {
    if (base.sha256) continue;
    const body = await fileOf(base);
    const found = /** @type {{sha256: string}} */ (await ask("/api/masks", { method: "POST", body, headers: { "Content-Type": "image/png" } }));
    base.sha256 = found.sha256;
  }
}

/** The masks that a written document names, by the layers that they cut. @param {Stored["document"]} document @returns {[at: string, sha256: string][]} */
const namesOf = ({ mask, layers }) => [["", mask?.base], ...layers.map(({ id, clip }) => [id, clip])].flatMap(([at, name]) => (at != null && name ? [[at, name]] : []));

/** A document of the server's. @param {string} id */
export async function read(id) {
  const stored = /** @type {Stored} */ (await ask(`/api/documents/${id}`, {}));
  const file = async (/** @type {string} */ sha256) => baseOf(await (await fetch(`/files/masks/${sha256}.png`, { credentials: "same-origin" })).blob(), sha256);
  const found = namesOf(stored.document).map(async ([at, sha256]) => /** @type {[string, Base]} */ ([at, await file(sha256)]));
  return { ...stored, state: fromWritten(stored.document, new Map(await Promise.all(found))) };
}

/** A state as it is sent. @param {State} state */
export const textOf = (state) => JSON.stringify(written(state));

export class Saving {
  /**
   * @param {string} key  of what is edited, until the server has given it an id
   * @param {() => State} now
   * @param {(state: State) => void} onTheirs  take the state of another tab or device
   * @param {(said: string, isBad: boolean) => void} tell
   */
  constructor(key, now, onTheirs, tell) {
    this.key = key;
    this.now = now;
    this.onTheirs = onTheirs;
    this.tell = tell;
    /** @type {string | null} */
    this.id = null;
    this.version = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.soon = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.quiet = undefined;
    /** @type {State | null} what the server has */
    this.sent = null;
    /** @type {string[]} */
    this.tried = [];
    this.isSaving = false; // something is on its way, and nothing else may be
    this.isShutOff = false; // this browser keeps nothing, so that leaving may lose something
    /** @type {Promise<unknown>} one after the other */
    this.before = Promise.resolve();
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && this.#leave());
    lastly.push(() => this.save());
    addEventListener("beforeunload", (event) => this.isShutOff && this.now() !== this.sent && event.preventDefault());
  }

  /** There is something new. */
  changed() {
    this.soon ??= setTimeout(() => this.#keep(), SOON);
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.save(), this.id === null ? SOON : QUIET); // what has no address yet can't be sent when the page is left
    this.tell("Not saved yet", false);
  }

  /** What this browser has kept, if it is newer than what the server has. @returns {Promise<Kept & {state: State} | null>} */
  async kept() {
    const left = /** @type {Kept | null} */ (keptHere(this.#here)); // newer than the copy, where the page had no time for one
    const kept = left ?? /** @type {Kept | undefined} */ (await copies("readonly", (all) => all.get(copyOf(this.key))).catch(() => undefined));
    if (!kept) return null;
    const document = JSON.parse(kept.text);
    const names = new Map(namesOf(document));
    const found = /** @type {Kept["files"]} */ (kept.files ?? []).map(async ([at, file]) => /** @type {[string, Base]} */ ([at, await baseOf(file, names.get(at) ?? null)]));
    return { ...kept, state: fromWritten(document, new Map(await Promise.all(found))) };
  }

  /** What this tab calls what it keeps while the page is left. */
  get #here() {
    return `edit ${this.key}`;
  }

  async #keep() {
    this.soon = undefined;
    const state = this.now();
    if (state === this.sent) return this.#forget();
    const all = [...filesOf(state)].map(async ([at, base]) => /** @type {[string, Blob]} */ ([at, await fileOf(base)]));
    const text = JSON.stringify(written(state, null));
    const kept = /** @type {Kept} */ ({ text, files: await Promise.all(all), version: this.version, id: this.id, tried: this.tried });
    await copies("readwrite", (all) => all.put(kept, copyOf(this.key))).then(() => (this.isShutOff = false), () => (this.isShutOff = true)); // then the server alone has it
    if (!this.isShutOff) keepHere(this.#here, null);
  }

  /** The server has it: this browser needs it no longer. */
  #forget() {
    keepHere(this.#here, null);
    return copies("readwrite", (all) => all.delete(copyOf(this.key))).catch(() => {});
  }

  /** Let the server have it. */
  save() {
    clearTimeout(this.quiet);
    return this.#next(() => this.#save().catch((error) => this.#failed(error)));
  }

  /** One after the other: two over the same version would look like somebody else's. @param {() => Promise<unknown>} work */
  #next(work) {
    this.isSaving = true;
    const mine = (this.before = this.before.then(work).finally(() => (this.isSaving = mine !== this.before)));
    return mine;
  }

  /** Say why; where nothing is wrong with the document itself, try again by itself. @param {unknown} error */
  #failed(error) {
    this.tell(error instanceof Error ? error.message : String(error), true);
    const isRefused = error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429;
    clearTimeout(this.quiet);
    if (!isRefused) this.quiet = setTimeout(() => this.save(), QUIET);
  }

  async #save() {
    const state = this.now();
    if (state === this.sent) return this.tell("Saved", false);
    this.tell("Saving", false);
    await sendFiles(state);
    const { tried } = this; // before
    try {
      await this.#send(state);
    } catch (error) {
      const status = error instanceof Problem ? error.status : 0;
      if (status === 404 && this.id) return this.#anew(state);
      if (!(error instanceof Problem) || status !== 412) throw error;
      const theirs = await read(/** @type {string} */ (this.id));
      const isOwn = tried.includes(textOf(theirs.state)); // sent when the page before was left, or the answer was lost
      const { confirmed } = await import("../js/parts/dialog.js");
      if (!isOwn && !(await confirmed("Edited elsewhere", "This document was changed in another tab or on another device. Keep what you have here, or take theirs?", "Keep mine", { no: "Take theirs" }))) return this.#take();
      this.version = isOwn ? theirs.version : Number(error.body.version);
      await this.#send(state);
    }
    this.sent = state;
    await this.#keep();
    if (this.now() === state) this.tell("Saved", false);
  }

  /** The document is gone: it was deleted elsewhere. What is here becomes one of its own. @param {State} state */
  async #anew(state) {
    [this.id, this.version] = [null, 0];
    await this.#send(state);
    this.sent = state;
    this.tell("The document was deleted elsewhere; this is saved as a new one", false);
  }

  /** Remember what is sent until there is an answer. @param {string} text */
  #try(text) {
    this.tried = [text, ...this.tried].slice(0, MOST_TRIED);
  }

  /** @param {State} state */
  async #send(state) {
    const body = { document: written(state) };
    this.#try(JSON.stringify(body.document));
    if (this.id === null) {
      const made = /** @type {Stored} */ (await change("POST", "/api/documents", body));
      await this.#forget();
      [this.id, this.version, this.key] = [made.id, made.version, made.id];
      history.replaceState(null, "", `/edit/d/${made.id}`);
    } else this.version = /** @type {Stored} */ (await put(this.id, this.version, JSON.stringify(body))).version;
    this.tried = [];
  }

  async #take() {
    const theirs = await read(/** @type {string} */ (this.id));
    this.version = theirs.version;
    this.onTheirs(theirs.state);
    this.sent = this.now();
    await this.#keep();
    this.tell("Saved", false);
  }

  /** The page may be gone in a moment. */
  #leave() {
    const state = this.now();
    if (state === this.sent) return;
    const { sent, id } = this;
    if (this.isSaving || id === null || !sent || [...filesOf(state).values()].some(({ sha256 }) => !sha256)) {
      this.#keepLeft(state);
      if (this.isSaving) this.save(); // after what is on its way, if the page lives on
      return;
    }
    const document = written(state);
    const text = JSON.stringify({ document });
    const keep = state.mask.base === sent.mask.base ? state.mask.strokes.findIndex((one, at) => one !== sent.mask.strokes[at]) : -1;
    const tail = JSON.stringify({ keep: Math.max(0, keep), strokes: state.mask.strokes.slice(Math.max(0, keep)), words: state.words });
    const isTail = text.length > TAIL && keep >= 0 && tail.length <= TAIL;
    if (text.length <= TAIL || isTail) {
      this.#try(JSON.stringify(document));
      this.#next(() => put(id, this.version, isTail ? tail : text, isTail ? "PATCH" : "PUT").then(({ version }) => {
        [this.version, this.sent, this.tried] = [version, isTail ? sent : state, []];
        return this.#keep();
      }, () => {}));
    }
    this.#keepLeft(state);
  }

  /** Keep what the page has no time to copy, if that needs no masks; then the copy. @param {State} state */
  #keepLeft(state) {
    const { version, id, tried } = this;
    if (!filesOf(state).size) keepHere(this.#here, { text: JSON.stringify(written(state, null)), files: [], version, id, tried });
    this.#keep();
  }
}

/** @param {string} id @param {number} version @param {string} body @param {"PUT" | "PATCH"} [method]  the latter is sent on when the page is gone, as is what is small */
async function put(id, version, body, method = "PUT") {
  const headers = { "Content-Type": "application/json", "If-Match": `"${version}"` };
  return /** @type {{version: number}} */ (await ask(`/api/documents/${id}`, { method, body, headers, keepalive: body.length <= TAIL }));
}
