// Keeps the document: in this browser a second after a change, on the server when it is quiet or the page is left.
import { ask, change, Problem } from "../js/core/api.js";
import { confirmed } from "../js/parts/dialog.js";
import { fromWritten, written } from "./document.js";
import { Mask } from "./mask.js";
import { decode, encode } from "./png.js";
import { snapshot } from "./tiles.js";

/** @import {Base, State} from "./document.js" */

/** What this browser keeps. `base`: the file of the mask's base. @typedef {{text: string, base: Blob | null, version: number, id: string | null, isSaved: boolean}} Kept */
/** @typedef {{id: string, version: number, document: Parameters<typeof fromWritten>[0]}} Stored */

const SOON = 1000; // ms until it is in this browser
const QUIET = 10_000; // ms without a change until it is on the server
const TAIL = 60_000; // bytes that a browser sends on after its page is gone

/** @type {WeakMap<Base, Promise<Blob>>} */
const files = new WeakMap();

/** A base as a file. @param {Base} base @param {number} width @param {number} height */
function fileOf(base, width, height) {
  const known = files.get(base);
  if (known) return known;
  const mask = new Mask(width, height);
  base.tiles.swap(mask);
  const file = encode(mask.bits, width, height);
  files.set(base, file);
  return file;
}

/** @param {Blob} file @param {string | null} sha256 @returns {Promise<Base>} */
async function baseOf(file, sha256) {
  const { width, height, bits } = await decode(new Uint8Array(await file.arrayBuffer()));
  const mask = new Mask(width, height);
  mask.bits.set(bits);
  const base = { tiles: snapshot(mask), sha256 };
  files.set(base, Promise.resolve(file));
  return base;
}

/** Send what a state's mask lies over, if the server hasn't got it. @param {State} state */
export async function sendBase({ mask: { base }, width, height }) {
  if (!base || base.sha256) return;
  const file = await fileOf(base, width, height);
  const found = /** @type {{sha256: string}} */ (await ask("/api/masks", { method: "POST", body: file, headers: { "Content-Type": "image/png" } }));
  base.sha256 = found.sha256;
}

/** A document of the server's. @param {string} id */
export async function read(id) {
  const stored = /** @type {Stored} */ (await ask(`/api/documents/${id}`, {}));
  const sha256 = stored.document.mask?.base ?? null;
  const answer = sha256 === null ? null : await fetch(`/files/masks/${sha256}.png`, { credentials: "same-origin" });
  return { ...stored, state: fromWritten(stored.document, answer && (await baseOf(await answer.blob(), sha256))) };
}

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
    /** @type {Promise<unknown>} one after the other */
    this.before = Promise.resolve();
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && this.#leave());
  }

  /** There is something new. */
  changed() {
    this.soon ??= setTimeout(() => this.#keep(), SOON);
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.save(), QUIET);
    this.tell("Not saved yet", false);
  }

  /** What this browser has kept, if it is newer than what the server has. @returns {Promise<Kept & {state: State} | null>} */
  async kept() {
    const kept = await store("readonly", (all) => all.get(this.key)).catch(() => undefined);
    if (!kept || kept.isSaved) return null;
    const document = JSON.parse(kept.text);
    const base = kept.base && (await baseOf(kept.base, document.mask.base));
    return { ...kept, state: fromWritten(document, base) };
  }

  async #keep() {
    this.soon = undefined;
    const state = this.now();
    const { base } = state.mask;
    const file = base && (await fileOf(base, state.width, state.height));
    const named = base && !base.sha256 ? { ...state, mask: { ...state.mask, base: null } } : state;
    await this.#put({ text: JSON.stringify(written(named)), base: file, version: this.version, id: this.id, isSaved: state === this.sent });
  }

  /** @param {Kept} kept */
  #put(kept) {
    return store("readwrite", (all) => all.put(kept, this.key)).catch(() => {}); // shut off: then the server alone has it
  }

  /** Let the server have it. */
  save() {
    clearTimeout(this.quiet);
    this.before = this.before.then(() => this.#save()).catch((error) => this.tell(error instanceof Error ? error.message : String(error), true));
    return this.before;
  }

  async #save() {
    const state = this.now();
    if (state === this.sent) return;
    this.tell("Saving", false);
    await sendBase(state);
    try {
      await this.#send(state);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 412) throw error;
      if (await confirmed("Edited elsewhere", "This document was changed in another tab or on another device. Keep what you have here, or take theirs?", "Keep mine", { no: "Take theirs" })) {
        this.version = Number(error.body.version);
        await this.#send(state);
      } else return this.#take();
    }
    this.sent = state;
    await this.#keep();
    if (this.now() === state) this.tell("Saved", false);
  }

  /** @param {State} state */
  async #send(state) {
    const body = { document: written(state) };
    if (this.id === null) {
      const made = /** @type {Stored} */ (await change("POST", "/api/documents", body));
      await store("readwrite", (all) => all.delete(this.key)).catch(() => {});
      [this.id, this.version, this.key] = [made.id, made.version, made.id];
      history.replaceState(null, "", `/edit/d/${made.id}`);
    } else this.version = /** @type {Stored} */ (await put(this.id, this.version, JSON.stringify(body))).version;
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
    this.#keep();
    const { sent, id } = this;
    if (id === null || !sent || (state.mask.base && !state.mask.base.sha256)) return;
    const text = JSON.stringify({ document: written(state) });
    const keep = state.mask.base === sent.mask.base ? state.mask.strokes.findIndex((one, at) => one !== sent.mask.strokes[at]) : -1;
    const tail = JSON.stringify({ keep: Math.max(0, keep), strokes: state.mask.strokes.slice(Math.max(0, keep)), words: state.words });
    const isTail = text.length > TAIL && keep >= 0 && tail.length <= TAIL;
    if (text.length > TAIL && !isTail) return;
    this.before = put(id, this.version, isTail ? tail : text, isTail ? "PATCH" : "PUT").then(({ version }) => ([this.version, this.sent] = [version, isTail ? sent : state]), () => {});
  }
}

/** @param {string} id @param {number} version @param {string} body @param {"PUT" | "PATCH"} [method]  the latter is sent on when the page is gone, as is what is small */
async function put(id, version, body, method = "PUT") {
  const headers = { "Content-Type": "application/json", "If-Match": `"${version}"` };
  return /** @type {{version: number}} */ (await ask(`/api/documents/${id}`, { method, body, headers, keepalive: body.length <= TAIL }));
}

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(all: IDBObjectStore) => IDBRequest<T>} work
 * @returns {Promise<T>}
 */
function store(mode, work) {
  return new Promise((done, failed) => {
    const opening = indexedDB.open("atelier", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("documents");
    opening.onerror = () => failed(opening.error);
    opening.onsuccess = () => {
      const asked = work(opening.result.transaction("documents", mode).objectStore("documents"));
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => failed(asked.error);
      asked.transaction?.addEventListener("complete", () => opening.result.close());
    };
  });
}
