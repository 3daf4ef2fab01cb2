// Picking a thing: a worker is asked which pixels of a picture belong to it, and the answer goes into the mask.
import { change } from "../js/core/api.js";
import { plain } from "../js/core/text.js";
import { say } from "../js/core/toasts.js";
import { common, ontoCanvas } from "./clips.js";
import { addressOf } from "./document.js";
import { Mask } from "./mask.js";
import { decode } from "./png.js";

/** @import {Layer, State} from "./document.js" */
/** @import {Editor} from "./editor.js" */
/** @import {Box} from "./mask.js" */
/** @import {Point} from "./pointers.js" */

/** What is asked for, in px of the layer's picture. @typedef {{layer: string, points: [number, number, 0 | 1][], box: Box | null, words: string, isMore?: boolean}} Wish  `isMore`: of the last thing */
/** What can be asked here. @typedef {{points: boolean, words: boolean}} Can */
/** @typedef {Can & {mask?: string, box?: Box, by?: string}} Answer */
/** @typedef {keyof typeof HOW} How */
/** @typedef {"new" | "also" | "not"} Way */

export const HOW = { add: "Add", take: "Take away", replace: "Replace", overlap: "Overlap" };
export const WAYS = { new: "New thing", also: "Also this", not: "Not this" };
const MOST_POINTS = 20;
const NO_POINTS = "This studio can't tell what you point at. Name the thing instead, or take the wand.";
const NO_BOTH = "This studio has no model that finds things. The wand finds what has one colour.";
const NO_LAYER = "There is no layer there that can be seen.";

/** @type {Record<How, (old: number, found: number) => number>} */
const JOINS = { add: (old, found) => old | found, take: (old, found) => old & (found ? 0 : 1), replace: (_, found) => found, overlap: (old, found) => old & found };

export class Picking {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    /** @type {Can | null} not known yet */
    this.can = null;
    this.trouble = "";
    this.how = /** @type {How} */ ("add");
    this.way = /** @type {Way} */ ("new");
    /** @type {Wish | null} in hand */
    this.now = null;
    /** @type {Wish | null} asked as soon as the one in hand is answered */
    this.next = null;
    /** @type {{wish: Wish, state: State} | null} the last thing, to be told more of as long as nothing else was done */
    this.last = null;
    this.seen = ""; // the picture that a worker is ready for
  }

  /** Whether the last thing can be told more of. */
  get isOpen() {
    return this.last !== null && this.last.state === this.editor.state;
  }

  /** What a person is told of it. */
  get said() {
    const { can } = this;
    if (!can) return "";
    if (!can.points) return can.words ? "Name a thing to paint it" : NO_BOTH;
    return this.isOpen ? "Shift: also this. Alt: not this" : `Press a thing, or drag a box around it${can.words ? ", or name it" : ""}`;
  }

  /** Let a worker look at the selected layer's picture ahead, and tell what can be asked. */
  ready() {
    const { layer } = this.editor;
    if (layer && this.seen !== addressOf(layer.source)) this.#ask({ layer: layer.id, points: [], box: null, words: "" });
  }

  /** @param {Partial<Pick<Picking, "how" | "way">>} settings */
  set(settings) {
    Object.assign(this, settings);
    this.editor.onChange();
  }

  /** @param {Point} at @param {Way} way */
  point(at, way) {
    if (this.can && !this.can.points) return this.#tell(this.can.words ? NO_POINTS : NO_BOTH);
    const wish = way === "new" ? null : (this.next ?? this.now ?? (this.isOpen ? this.last?.wish : null) ?? null);
    const layer = wish ? this.#layer(wish.layer) : this.editor.layerAt(at, 0);
    if (!layer) return this.#tell(NO_LAYER);
    const [x, y] = this.#inside(layer, at.x, at.y);
    const points = /** @type {Wish["points"]} */ ([...(wish?.points ?? []).slice(1 - MOST_POINTS), [x, y, way === "not" ? 0 : 1]]);
    this.#ask({ layer: layer.id, points, box: wish?.box ?? null, words: "", isMore: wish !== null });
  }

  /** @param {Point} from @param {Box} box */
  box(from, [left, top, right, bottom]) {
    if (this.can && !this.can.points) return this.#tell(this.can.words ? NO_POINTS : NO_BOTH);
    const layer = this.editor.layerAt(from, 0) ?? this.editor.layer;
    if (!layer) return this.#tell(NO_LAYER);
    const [[l, t], [r, b]] = [this.#inside(layer, left, top), this.#inside(layer, right, bottom)];
    if (l < r && t < b) this.#ask({ layer: layer.id, points: [], box: [l, t, r, b], words: "" });
  }

  /** @param {string} words */
  words(words) {
    const { layer } = this.editor;
    if (layer && words.trim()) this.#ask({ layer: layer.id, points: [], box: null, words: words.trim() });
  }

  /** @param {Layer} layer @param {number} x @param {number} y @returns {[number, number]} px of its picture */
  #inside(layer, x, y) {
    const { width, height } = this.editor.sizeOf(layer);
    const within = (/** @type {number} */ at, /** @type {number} */ side) => Math.min(side, Math.max(0, Math.round(at / layer.scale)));
    return [within(x - layer.x, width), within(y - layer.y, height)];
  }

  /** @param {string} id */
  #layer(id) {
    return this.editor.state.layers.find((one) => one.id === id);
  }

  /** @param {string} trouble */
  #tell(trouble) {
    this.trouble = trouble;
    this.editor.onChange();
  }

  /** One question after the other; of those that wait only the newest is asked. @param {Wish} wish */
  async #ask(wish) {
    this.next = wish;
    if (this.now) return;
    while (this.next) {
      this.now = this.next;
      this.next = null;
      this.#tell("");
      await this.#answered(this.now).catch((error) => this.#tell(error instanceof Error ? plain(error.message) : String(error)));
    }
    this.now = null;
    this.editor.onChange();
  }

  /** @param {Wish} wish */
  async #answered(wish) {
    const layer = this.#layer(wish.layer);
    if (!layer) return;
    const { points, box, words } = wish;
    const asked = { source: layer.source, ...(points.length ? { points } : {}), ...(box ? { box } : {}), ...(words ? { words } : {}) };
    const found = /** @type {Answer} */ (await change("POST", "/api/selects", asked));
    this.can = { points: found.points, words: found.words };
    this.seen = addressOf(layer.source);
    if (found.mask) await this.#put(found.mask, wish);
    else if (points.length || box || words) this.#tell("Nothing was found there.");
  }

  /** @param {string} mask  a PNG of the picture's size, base64 @param {Wish} wish */
  async #put(mask, wish) {
    const { editor } = this;
    const { width, height, bits } = await decode(Uint8Array.from(atob(mask), (letter) => letter.charCodeAt(0)));
    const layer = this.#layer(wish.layer);
    if (!layer) return; // taken away meanwhile
    const found = common(Object.assign(new Mask(1, 1), { width, height, bits }), editor.clips.of(layer));
    const marked = ontoCanvas(found, layer, editor.state);
    if (this.isOpen && wish.isMore) editor.history.undo(); // the same thing, told better
    const { bits: old } = editor.mask;
    const join = JOINS[this.how];
    for (let at = 0; at < old.length; at++) marked.bits[at] = join(old[at] ?? 0, marked.bits[at] ?? 0);
    editor.found(marked.bits);
    this.last = { wish, state: editor.state };
    this.way = "new";
    say(`Found. The mask has ${editor.mask.count.toLocaleString("en")} pixels`);
  }
}
