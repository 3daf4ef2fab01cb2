// What a page has sent and must not lose: kept in this tab until the server has answered, and tried again by itself.
import { ask, change, newKey, passes, untilAnswered } from "./api.js";
import { keepHere, keptHere, lastly } from "./kept.js";
import { complain } from "./toasts.js";

/** `name`: a later letter of the same name takes its place while it waits. `mask`: a PNG file in base64 that is sent first. */
/** @typedef {{name: string, method: string, path: string, body?: Record<string, unknown>, mask?: string}} Letter */
/** What a page does with its letters. @typedef {{changed?: () => void, refused?: (letter: Letter, error: unknown) => void}} Sender */

const TRIES = 8; // of a wish that somebody waits for: 45 s, longer than a restart takes

/** @param {Letter} letter */
async function deliver({ method, path, body, mask }) {
  if (!mask) return change(method, path, body);
  const file = Uint8Array.from(atob(mask), (letter) => letter.charCodeAt(0));
  const { sha256 } = /** @type {{sha256: string}} */ (await ask("/api/masks", { method: "POST", body: file, headers: { "Content-Type": "image/png" } }));
  return change(method, path, { ...body, mask: sha256 });
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
    lastly.push(() => this.going);
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
      if (error) (this.#sender(one.name)?.refused ?? ((_, why) => complain(why)))(one, error);
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
let one;

/** The page's outbox, which goes on with what the page before it has left. */
export const outbox = () => (one ??= new Outbox());

/** @type {Set<string>} keys of wishes that this page waits for */
const awaited = new Set();

/**
 * Ask for something that is made once, however often it has to be asked: as long as there was no answer, the same
 * wish has the same key, also after the page was left.
 * @template T
 * @param {unknown} wish  what is asked for, in JSON
 * @param {(key: string) => Promise<T>} send
 */
export async function once(wish, send) {
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
    if (!passes(error)) keepHere("wish", null);
    throw error;
  } finally {
    awaited.delete(key);
  }
}
