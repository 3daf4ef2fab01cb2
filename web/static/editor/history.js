// Undo and redo over everything, 200 steps: states are kept whole, of the mask the squares that changed. Pure.
import { isLong, MOST_STROKES, withBase, withStrokes } from "./document.js";
import { Mask } from "./mask.js";
import { apply, around, between, brushed, touched } from "./strokes.js";
import { snapshot, Tiles } from "./tiles.js";

/** @import {State} from "./document.js" */
/** @import {Box} from "./mask.js" */
/** @import {Spot, Stroke} from "./strokes.js" */

/** `room`: bytes of squares; older steps are painted anew instead. `clips`: bytes of theirs; older steps are forgotten. `strokes`: before the older half becomes a base. */
const LIMITS = { steps: 200, room: 64 * 2 ** 20, clips: 64 * 2 ** 20, strokes: MOST_STROKES };

/** `tiles`: what the mask was before this step (after it, once it is undone); null = painted anew. `clips`: bytes of what the step changed of clips, which aren't painted anew. */
/** @typedef {{state: State, tiles: Tiles | null, kind: string, clips: number}} Step */

export class History {
  /** @param {State} state */
  constructor(state, limits = LIMITS) {
    this.limits = limits;
    this.present = state;
    this.mask = replayed(state);
    /** @type {Step[]} the oldest first */
    this.past = [];
    /** @type {Step[]} the next one last */
    this.future = [];
  }

  /**
   * A step that leaves the mask's pixels alone. Steps of one `kind` after each other count as one, if it has a name.
   * @param {State} state
   * @param {string} [kind]
   */
  change(state, kind = "") {
    if (kind && this.past.at(-1)?.kind === kind && !this.future.length) this.present = state;
    else this.#push(state, new Tiles(), kind);
  }

  /** A step in which a layer's clip was painted. @param {State} state @param {number} bytes  that the new clip takes beside the one before */
  clipped(state, bytes) {
    this.#push(state, new Tiles(), "", bytes);
  }

  /** A step that ends what was begun: the next of its kind is one of its own. */
  settle() {
    const last = this.past.at(-1);
    if (last) last.kind = "";
  }

  /** Paint a stroke. Returns the box that it touched. @param {Stroke} stroke */
  paint(stroke) {
    const tiles = new Tiles();
    const box = touched(stroke, this.mask);
    tiles.touch(this.mask, box);
    apply(this.mask, stroke);
    this.painted([stroke], tiles);
    return box;
  }

  /** A step whose strokes are painted already. `tiles`: what was under them. @param {readonly Stroke[]} strokes @param {Tiles} tiles */
  painted(strokes, tiles) {
    this.#push(withStrokes(this.present, strokes), tiles, "");
    if (isLong(this.present.mask, this.limits.strokes)) this.#bake();
  }

  /** A step whose mask was found in another way than by strokes. @param {Uint8Array} bits  of the canvas' size @param {State} [state] */
  found(bits, state = this.present) {
    const tiles = snapshot(this.mask);
    this.mask.bits.set(bits);
    this.#push(withBase(state, this.mask), tiles, "");
  }

  /** A step to a canvas of another size, over which the mask is moved by px. @param {State} state @param {number} left @param {number} top */
  resize(state, left, top) {
    const before = this.mask;
    this.mask = new Mask(state.width, state.height);
    for (let y = Math.max(0, top); y < Math.min(state.height, before.height + top); y++) {
      const row = before.bits.subarray((y - top) * before.width, (y - top + 1) * before.width);
      this.mask.bits.set(row.subarray(Math.max(0, -left), Math.max(0, state.width - left)), y * state.width + Math.max(0, left));
    }
    this.#push(withBase(state, this.mask), snapshot(before), "");
  }

  /** @returns {Box | null} what changed of the mask; null = there is nothing to undo */
  undo() {
    return this.#go(this.past, this.future);
  }

  /** @returns {Box | null} */
  redo() {
    return this.#go(this.future, this.past);
  }

  /** @param {Step[]} from @param {Step[]} to @returns {Box | null} */
  #go(from, to) {
    const step = from.pop();
    if (!step) return null;
    const tiles = step.tiles && this.#swap(step.tiles, step.state);
    if (!tiles) this.mask = replayed(step.state);
    to.push({ state: this.present, tiles, kind: "", clips: step.clips });
    this.present = step.state;
    return tiles ? (tiles.box ?? [0, 0, 0, 0]) : this.mask.all;
  }

  /** @param {Tiles} tiles @param {State} state */
  #swap(tiles, state) {
    if (state.width === this.mask.width && state.height === this.mask.height) return tiles.swap(this.mask);
    const before = snapshot(this.mask);
    this.mask = new Mask(state.width, state.height);
    tiles.swap(this.mask);
    return before;
  }

  /** @param {State} state @param {Tiles} tiles @param {string} kind @param {number} [clips] */
  #push(state, tiles, kind, clips = 0) {
    this.past.push({ state: this.present, tiles, kind, clips });
    this.present = state;
    this.future = [];
    if (this.past.length > this.limits.steps) this.past.shift();
    let { room, clips: ofClips } = this.limits;
    for (const [at, step] of [...this.past.entries()].reverse()) {
      room -= (step.tiles?.bytes ?? 0) + (step.state.mask.base?.tiles.bytes ?? 0);
      if (room < 0) step.tiles = null;
      if ((ofClips -= step.clips) < 0) return void this.past.splice(0, at + 1);
    }
  }

  /** Let the older half of the strokes be a base, so that the document stays small. The pixels stay. */
  #bake() {
    const { base, strokes } = this.present.mask;
    const half = Math.ceil(strokes.length / 2);
    const older = { ...this.present, mask: { base, strokes: strokes.slice(0, half) } };
    this.present = withStrokes(withBase(older, replayed(older)), strokes.slice(half));
  }
}

/** A stroke that is painted while it grows. */
export class Brushing {
  /** @param {{mask: Mask, painted: (strokes: Stroke[], tiles: Tiles) => void}} history  or what else takes strokes @param {0 | 1} value */
  constructor(history, value) {
    this.history = history;
    this.value = value;
    /** @type {Spot[]} */
    this.points = [];
    /** @type {number[]} */
    this.radii = [];
    this.tiles = new Tiles();
  }

  /** Paint on to a point. Returns the box that it touched. @param {Spot} spot  ⅛ px @param {number} r  ⅛ px */
  to(spot, r) {
    const { mask } = this.history;
    const from = this.points.at(-1) ?? spot;
    const box = around(from, spot, r);
    this.tiles.touch(mask, box);
    for (const next of between(from, spot)) {
      mask.capsule(...(this.points.at(-1) ?? next), ...next, r, this.value);
      this.points.push(next);
      this.radii.push(r);
    }
    return box;
  }

  /** It is done: one step of the history. */
  end() {
    if (this.points.length) this.history.painted(brushed(this.points, this.radii, this.value), this.tiles);
  }

  /** It was never there. */
  cancel() {
    this.tiles.swap(this.history.mask);
  }
}

/** The mask that a state's strokes make. @param {State} state */
export function replayed({ width, height, mask: { base, strokes } }) {
  const mask = new Mask(width, height);
  base?.tiles.put(mask);
  for (const stroke of strokes) apply(mask, stroke);
  return mask;
}
