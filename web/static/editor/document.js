// A document: what is in it, its history, what its layers are cut by, and where it is kept.
import { t } from "../js/core/text.js";
import { beforeSignOut, copyKey, fetchJson, keepHere, keptHere, Problem, sendJson, withCopies } from "../js/core/api.js";
import { applyStroke, boxAroundLine, brushStrokes, decodePng, encodePng, Mask, pointsBetween, snapshotTiles, Tiles, touchedBox } from "./mask.js";

/** @import {Box, Spot, Stroke} from "./mask.js" */

// The document: what it holds, and each way in which it changes. Every state is a value of its own; none is changed. Pure.

/** @typedef {{job: string, n: number} | {upload: string}} Source */
/** x, y: px of its corner. `clip`: what of its source is shown, null = all. @typedef {{id: string, source: Source, x: number, y: number, scale: number, opacity: number, visible: boolean, name: string, clip: Base | null}} Layer */
/** A mask as a file: what strokes are painted over, or a clip. `sha256`: of its file, once the server has it. @typedef {{tiles: Tiles, width: number, height: number, sha256: string | null}} Base */
/** @typedef {{base: Base | null, strokes: readonly Stroke[]}} Painted */
/** @typedef {{source: Source, as: "style" | "character" | "object"}} Reference */

/**
 * @typedef {object} State
 * @property {number} width  px
 * @property {number} height  px
 * @property {readonly Layer[]} layers  the lowest first
 * @property {Painted} mask
 * @property {string} words
 * @property {readonly Reference[]} references
 * @property {number | null} amount  0 keeps what is there, 1 ignores it
 * @property {number | null} seed
 * @property {number} images
 * @property {boolean} keep_seam
 * @property {boolean} keep_structure
 */

/** Where a source's picture is. @param {Source} source */
export const addressOf = (source) => ("job" in source ? `/files/${source.job}/${source.n}` : `/files/uploads/${source.upload}`);

/** Where a small copy of it is. @param {Source} source */
export const smallOf = (source) => ("job" in source ? `${addressOf(source)}/256.webp` : `${addressOf(source)}.webp`);

export const [LEAST_SIDE, MOST_SIDE, MOST_LAYERS] = [64, 4096, 16]; // px, px, layers
export const [MOST_STROKES, MOST_TEXT] = [500, 100_000]; // strokes and letters of theirs, before they become a base

/** @param {Source} source @param {number} width @param {number} height @returns {State} */
export const newDocument = (source, width, height) => ({
  width,
  height,
  layers: [newLayer("base", source)],
  mask: { base: null, strokes: [] },
  words: "",
  references: [],
  amount: null,
  seed: null,
  images: 4,
  keep_seam: false,
  keep_structure: false,
});

/** @param {string} id @param {Source} source @returns {Layer} */
export const newLayer = (id, source) => ({ id, source, x: 0, y: 0, scale: 1, opacity: 1, visible: true, name: "", clip: null });

/** An id that no layer has. @param {State} state */
export const freeId = (state) => Array.from({ length: MOST_LAYERS + 1 }, (_, at) => `layer${at}`).find((id) => state.layers.every((one) => one.id !== id)) ?? "layer";

/** @param {State} state @param {string} id @param {Partial<Layer>} change @returns {State} */
export const withLayer = (state, id, change) => ({ ...state, layers: state.layers.map((one) => (one.id === id ? { ...one, ...change } : one)) });

/** @param {State} state @param {string} id @param {1 | -1} way @returns {State} */
export function withRaised(state, id, way) {
  const from = state.layers.findIndex((one) => one.id === id);
  const layers = [...state.layers];
  layers.splice(Math.max(0, from + way), 0, ...layers.splice(from, 1));
  return { ...state, layers };
}

/** @param {State} state @param {readonly Stroke[]} strokes @returns {State} */
const withStrokes = (state, strokes) => ({ ...state, mask: { ...state.mask, strokes: [...state.mask.strokes, ...strokes] } });

/** A mask as it is now, to be a file. @param {Mask} mask @param {string | null} [sha256] @returns {Base} */
export const baseOf = (mask, sha256 = null) => ({ tiles: snapshotTiles(mask), width: mask.width, height: mask.height, sha256 });

/** Every mask that a state names as a file, by the layer that it cuts; the one under the strokes by "". @param {State} state */
export function filesOf({ mask, layers }) {
  const all = [/** @type {const} */ (["", mask.base]), ...layers.map(({ id, clip }) => /** @type {const} */ ([id, clip]))];
  return new Map(all.flatMap(([at, base]) => (base ? [/** @type {[string, Base]} */ ([at, base])] : [])));
}

/** The same with this mask instead of strokes. @param {State} state @param {Mask} mask @returns {State} */
export const withBase = (state, mask) => ({ ...state, mask: { base: mask.bounds ? baseOf(mask) : null, strokes: [] } });

/**
 * Another canvas: `left` and `top` px are added there (less than 0: cut off). The mask isn't in it; it becomes a base.
 * @param {State} state
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @returns {State}
 */
export const withCanvas = (state, left, top, width, height) => ({
  ...state,
  width,
  height,
  layers: state.layers.map((one) => ({ ...one, x: one.x + left, y: one.y + top })),
});

/** A side that the server takes. @param {number} px */
export const side = (px) => Math.min(MOST_SIDE, Math.max(LEAST_SIDE, Math.round(px)));

/** As the server takes it. Throws while a mask isn't there yet, unless `instead` stands for its name. @param {State} state @param {string | null} [instead] */
export function writeDocument({ mask, layers, ...rest }, instead) {
  const name = (/** @type {Base | null} */ base) => {
    if (base && !base.sha256 && instead === undefined) throw new Error(t("The mask isn't sent yet."));
    return base && (base.sha256 ?? instead ?? null);
  };
  return { v: 1, ...rest, layers: layers.map((one) => ({ ...one, clip: name(one.clip) })), mask: { base: name(mask.base), strokes: mask.strokes } };
}

/** @typedef {Partial<Omit<Layer, "clip">> & {id: string, source: Source, clip?: string | null}} WrittenLayer */
/** @typedef {Partial<Omit<ReturnType<typeof writeDocument>, "layers">> & {width: number, height: number, layers: WrittenLayer[]}} Written */

/**
 * From what the server has. `files`: the masks that it names, as `filesOf` has them.
 * @param {Written} document
 * @param {Map<string, Base>} files
 * @returns {State}
 */
export function fromDocument({ v: _, mask, layers, ...rest }, files) {
  const whole = layers.map((one) => ({ ...newLayer(one.id, one.source), ...one, clip: files.get(one.id) ?? null }));
  const first = /** @type {Layer} */ (whole[0]);
  return { ...newDocument(first.source, rest.width, rest.height), ...rest, layers: whole, mask: { base: files.get("") ?? null, strokes: mask?.strokes ?? [] } };
}

/** Whether there are so many strokes that the older ones should become a base. @param {Painted} mask */
const isLong = ({ strokes }, most = MOST_STROKES) => strokes.length > most || strokes.reduce((sum, one) => sum + ("xy" in one ? one.xy.length : 40) + ("r" in one ? 5 * one.r.length : 0), 0) > MOST_TEXT;

// Undo and redo over everything, 200 steps: states are kept whole, of the mask the squares that changed. Pure.

/** `room`: bytes of squares; older steps are painted anew instead. `clips`: bytes of theirs; older steps are forgotten. `strokes`: before the older half becomes a base. `kept`: bytes of masks and clips of all steps that a browser keeps. */
const LIMITS = { steps: 200, room: 64 * 2 ** 20, clips: 64 * 2 ** 20, strokes: MOST_STROKES, kept: 8 * 2 ** 20 };
const KEPT_STEPS = 100; // that a browser keeps, back and forth each

/** `tiles`: what the mask was before this step (after it, once it is undone); null = painted anew. `clips`: bytes of what the step changed of clips, which aren't painted anew. */
/** @typedef {{state: State, tiles: Tiles | null, kind: string, clips: number}} Step */
/** @typedef {{past: Step[], present: State, future: Step[]}} Past */
/** What was sent: the job, the document as it was then, what was said, px of its seam. @typedef {{id: string, state: State, said: string, seam: number | null}} Run */
/** How a document is worked on: what can be undone, and what is drawn. `v`: of this form. @typedef {Past & {run: Run | null, v: number}} Work */

export class History {
  /** @param {State} state */
  constructor(state, limits = LIMITS) {
    this.limits = limits;
    this.present = state;
    this.mask = replayedMask(state);
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
    const box = touchedBox(stroke, this.mask);
    tiles.touch(this.mask, box);
    applyStroke(this.mask, stroke);
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
    const tiles = snapshotTiles(this.mask);
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
    this.#push(withBase(state, this.mask), snapshotTiles(before), "");
  }

  /** A step to a document that was made elsewhere. @param {State} state */
  replaced(state) {
    this.#push(state, null, "");
    this.mask = replayedMask(state);
  }

  /** As a browser keeps it: the last steps, without what was under them. @returns {Past} */
  get kept() {
    let { kept: room } = this.limits;
    const seen = new Set(filesOf(this.present).values());
    const last = (/** @type {Step[]} */ steps) => {
      const found = steps.slice(-KEPT_STEPS);
      const from = found.findLastIndex(({ state }) => {
        for (const base of filesOf(state).values()) if (!seen.has(base)) room -= seen.add(base) && base.tiles.bytes;
        return room < 0;
      });
      return found.slice(from + 1).map((step) => ({ ...step, tiles: null }));
    };
    return { past: last(this.past), present: this.present, future: last(this.future) };
  }

  /** Go on from how it was left. @param {Past} past @param {boolean} isSame  nobody has changed it since */
  resume({ past, present, future }, isSame) {
    this.past = isSame ? past : [...past, { state: present, tiles: null, kind: "", clips: 0 }];
    this.future = isSame ? future : [];
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
    if (!tiles) this.mask = replayedMask(step.state);
    to.push({ state: this.present, tiles, kind: "", clips: step.clips });
    this.present = step.state;
    return tiles ? (tiles.box ?? [0, 0, 0, 0]) : this.mask.all;
  }

  /** @param {Tiles} tiles @param {State} state */
  #swap(tiles, state) {
    if (state.width === this.mask.width && state.height === this.mask.height) return tiles.swap(this.mask);
    const before = snapshotTiles(this.mask);
    this.mask = new Mask(state.width, state.height);
    tiles.swap(this.mask);
    return before;
  }

  /** @param {State} state @param {Tiles | null} tiles @param {string} kind @param {number} [clips] */
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
    this.present = withStrokes(withBase(older, replayedMask(older)), strokes.slice(half));
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
    const box = boxAroundLine(from, spot, r);
    this.tiles.touch(mask, box);
    for (const next of pointsBetween(from, spot)) {
      mask.capsule(...(this.points.at(-1) ?? next), ...next, r, this.value);
      this.points.push(next);
      this.radii.push(r);
    }
    return box;
  }

  /** It is done: one step of the history. */
  end() {
    if (this.points.length) this.history.painted(brushStrokes(this.points, this.radii, this.value), this.tiles);
  }

  /** It was never there. */
  cancel() {
    this.tiles.swap(this.history.mask);
  }
}

/** The mask that a state's strokes make. @param {State} state */
export function replayedMask({ width, height, mask: { base, strokes } }) {
  const mask = new Mask(width, height);
  base?.tiles.put(mask);
  for (const stroke of strokes) applyStroke(mask, stroke);
  return mask;
}

// What of each layer is shown, as pixels of its source: read by every frame, changed by the brush that restores. Pure.

/** @typedef {{width: number, height: number}} Size  px */

/** A clip as pixels. @param {Base | null} clip  null = all @param {Size} size  of the source */
export function clipPixels(clip, { width, height }) {
  const mask = new Mask(width, height);
  if (clip) clip.tiles.put(mask);
  else mask.bits.fill(1);
  return mask;
}

/** As a document keeps it: null if all is shown. @param {Mask} mask @returns {Base | null} */
function clipOf(mask) {
  const clip = baseOf(mask);
  return clip.tiles.isWhole ? null : clip;
}

export class Clips {
  constructor() {
    /** @type {Map<string, {of: Base, mask: Mask}>} by layer */
    this.kept = new Map();
    /** @type {{id: string, mask: Mask} | null} what is being painted */
    this.live = null;
    /** @type {WeakMap<Base, Box>} */
    this.boxes = new WeakMap();
  }

  /** The pixels of a layer that are shown, null = all. @param {Layer} layer @returns {Mask | null} */
  of({ id, clip }) {
    if (this.live?.id === id) return this.live.mask;
    if (!clip) return null;
    const known = this.kept.get(id);
    if (known?.of === clip) return known.mask;
    const isSame = known && known.of.width === clip.width && known.of.height === clip.height;
    const mask = isSame ? known.mask : new Mask(clip.width, clip.height);
    clip.tiles.put(mask, isSame ? known.of.tiles : undefined);
    this.kept.set(id, { of: clip, mask });
    return mask;
  }

  /** Forget the pixels of all other layers. @param {readonly Layer[]} layers */
  keep(layers) {
    for (const id of this.kept.keys()) if (!layers.some((one) => one.id === id && one.clip)) this.kept.delete(id);
  }

  /** The smallest box around what is shown of a layer, in px of its source. @param {Layer} layer @param {Size} size  of the source @returns {Box} */
  boxOf(layer, { width, height }) {
    const { clip } = layer;
    if (!clip) return [0, 0, width, height];
    const known = this.boxes.get(clip) ?? this.of(layer)?.bounds ?? /** @type {Box} */ ([0, 0, width, height]);
    this.boxes.set(clip, known);
    return known;
  }

  /**
   * Begin to paint on a layer: what `Brushing` needs of a history.
   * @param {Layer} layer
   * @param {Size} size  of the source
   * @param {(clip: Base | null, bytes: number) => void} done
   */
  painting(layer, size, done) {
    const before = layer.clip ?? baseOf(clipPixels(null, size));
    const mask = this.of(layer) ?? clipPixels(null, size);
    this.live = { id: layer.id, mask };
    return {
      mask,
      painted: (/** @type {unknown} */ _, /** @type {Tiles} */ touched) => {
        const clip = { ...before, tiles: before.tiles.renewed(mask, touched), sha256: null };
        this.kept.set(layer.id, { of: clip, mask });
        this.live = null;
        done(clip.tiles.isWhole ? null : clip, touched.bytes);
      },
    };
  }
}

/**
 * What a mask of the canvas marks of a layer, as pixels of its source.
 * @param {Mask} mask
 * @param {Layer} layer
 * @param {Size} size  of the source
 */
function ontoSource(mask, { x, y, scale }, { width, height }) {
  const found = new Mask(width, height);
  const columns = Int32Array.from({ length: width }, (_, at) => Math.floor(x + (at + 0.5) * scale));
  for (let row = 0, to = 0; row < height; row++) {
    const from = Math.floor(y + (row + 0.5) * scale);
    if (from < 0 || from >= mask.height) to += width;
    else for (const column of columns) found.bits[to++] = column < 0 || column >= mask.width ? 0 : (mask.bits[from * mask.width + column] ?? 0);
  }
  return found;
}

/**
 * What a mask of a layer's source marks of the canvas.
 * @param {Mask} mask
 * @param {Layer} layer
 * @param {Size} size  of the canvas
 */
export const ontoCanvas = (mask, { x, y, scale }, size) => ontoSource(mask, /** @type {Layer} */ ({ x: -x / scale, y: -y / scale, scale: 1 / scale }), size);

/** The pixels of `one` that `other` has too, or has not. @param {Mask} one @param {Mask | null} other  null = all @param {0 | 1} value */
export function commonMask(one, other, value = 1) {
  if (other) for (let at = 0; at < one.bits.length; at++) if (other.bits[at] !== value) one.bits[at] = 0;
  return one;
}

/**
 * What a mask of the canvas marks of a layer on a layer of its own, over it; null if it marks nothing there.
 * @param {State} state
 * @param {Mask} mask
 * @param {Layer} from
 * @param {Size} size  of its source
 * @param {string} id  of the new layer
 * @param {boolean} isHole  it isn't there below any more, so that the hole is drawn
 * @returns {State | null}
 */
export function withCutOut(state, mask, from, size, id, isHole) {
  const shown = clipPixels(from.clip, size);
  const found = commonMask(ontoSource(mask, from, size), shown);
  if (!found.bounds) return null;
  const below = isHole ? { ...from, clip: clipOf(commonMask(shown, found, 0)) } : from;
  const above = { ...from, id, name: "Cut-out", clip: clipOf(found) };
  return { ...state, layers: state.layers.flatMap((one) => (one === from ? [below, above] : [one])) };
}

// What a step of the history did, in a few words, told by what differs between the document before and after it. Pure.

const STROKES = { brush: [t("Erase"), t("Brush")], lasso: [t("Lasso, subtracted"), t("Lasso")], rect: [t("Rectangle, subtracted"), t("Rectangle")] };
const OTHERS = { invert: t("Invert"), grow: t("Grow"), shrink: t("Shrink") };
/** @type {Record<Exclude<keyof State, "width" | "height" | "layers" | "mask">, string>} */
const SETTINGS = { words: t("Words"), references: t("References"), amount: t("Change"), seed: t("Seed"), images: t("How many pictures"), keep_seam: t("Keep every pixel outside"), keep_structure: t("Keep shapes") };

/** @type {[keyof Layer, string][]} the first that fits names the step */
const OF_LAYER = [["clip", t("Restore")], ["visible", t("Show or hide")], ["opacity", t("Opacity")], ["scale", t("Scale")], ["x", t("Move")], ["y", t("Move")]];

/** @param {State} before @param {State} after */
export function stepName(before, after) {
  if (before.width !== after.width || before.height !== after.height) return t("Canvas, {0} × {1} px", after.width, after.height);
  const layers = ofLayers(before.layers, after.layers);
  if (layers) return layers;
  if (before.mask !== after.mask) return ofMask(after);
  const changed = /** @type {(keyof typeof SETTINGS)[]} */ (Object.keys(SETTINGS)).find((key) => before[key] !== after[key]);
  return changed ? SETTINGS[changed] : t("Change");
}

/** @param {readonly Layer[]} before @param {readonly Layer[]} after */
function ofLayers(before, after) {
  const named = (/** @type {string} */ what, /** @type {Layer} */ { name }) => (name ? `${what}: ${name}` : what);
  const added = after.find(({ id }) => before.every((one) => one.id !== id));
  if (added) return added.clip ? "Cut-out" : named(t("Layer added"), added);
  const removed = before.find(({ id }) => after.every((one) => one.id !== id));
  if (removed) return named(t("Layer removed"), removed);
  if (after.some(({ id }, at) => before[at]?.id !== id)) return t("Order of layers");
  for (const [at, one] of after.entries()) {
    const old = before[at];
    if (!old || old === one) continue;
    if (JSON.stringify(old.source) !== JSON.stringify(one.source)) return t("Another picture");
    const change = OF_LAYER.find(([key]) => old[key] !== one[key]);
    if (change) return named(change[1], one);
  }
  return "";
}

/** @param {State} after */
function ofMask({ mask: { base, strokes } }) {
  const last = strokes.at(-1);
  if (!last) return base ? t("Mask") : t("Clear");
  if (!("value" in last)) return OTHERS[last.tool];
  return STROKES[last.tool][last.value] ?? t("Mask");
}

/** Every step that is known, the oldest first, with how many steps away it is: 0 = the last that was done. @param {History} history @returns {{name: string, away: number}[]} */
export function stepsOf({ past, present, future }) {
  const states = [...past.map(({ state }) => state), present, ...future.map(({ state }) => state).reverse()];
  return states.slice(1).map((state, at) => ({ name: stepName(/** @type {State} */ (states[at]), state), away: at + 1 - past.length }));
}

// Keeps the document: in this browser a second after a change, on the server when it is new, it is quiet or the page is left.

/** What this browser keeps as long as the server hasn't got it. `files`: the masks that are named, by the layers that they cut. `tried`: what was sent, newest first, of which the answers never came. @typedef {{text: string, files: [at: string, file: Blob][], version: number, id: string | null, tried: string[]}} Kept */
/** @typedef {{id: string, version: number, document: Parameters<typeof fromDocument>[0]}} Stored */

const SOON = 1000; // ms until it is in this browser
const QUIET = 10_000; // ms without a change until it is on the server
const MOST_TRIED = 5;
const MOST_WORK = 10; // documents of which a browser keeps how they are worked on
const WORK = 1; // the form of that
const TAIL = 60_000; // bytes that a browser sends on after its page is gone

/** @type {WeakMap<Base, Promise<Blob>>} */
const files = new WeakMap();

/** A mask as a file. @param {Base} base */
function fileOf(base) {
  const known = files.get(base);
  if (known) return known;
  const mask = new Mask(base.width, base.height);
  base.tiles.put(mask);
  const file = encodePng(mask.bits, mask.width, mask.height);
  files.set(base, file);
  return file;
}

/** @param {Blob} file @param {string | null} sha256 @returns {Promise<Base>} */
async function readBase(file, sha256) {
  const { width, height, bits } = await decodePng(new Uint8Array(await file.arrayBuffer()));
  const base = baseOf(Object.assign(new Mask(0, 0), { width, height, bits }), sha256);
  files.set(base, Promise.resolve(file));
  return base;
}

/** Send the masks that a state names and the server hasn't got. @param {State} state */
export async function sendFiles(state) {
  for (const base of filesOf(state).values()) {
    if (base.sha256) continue;
    const body = await fileOf(base);
    const found = /** @type {{sha256: string}} */ (await fetchJson("/api/masks", { method: "POST", body, headers: { "Content-Type": "image/png" } }));
    base.sha256 = found.sha256;
  }
}

/** The masks that a written document names, by the layers that they cut. @param {Stored["document"]} document @returns {[at: string, sha256: string][]} */
const namesOf = ({ mask, layers }) => [["", mask?.base], ...layers.map(({ id, clip }) => [id, clip])].flatMap(([at, name]) => (at != null && name ? [[at, name]] : []));

/** A document of the server's. @param {string} id */
export async function readDocument(id) {
  const stored = /** @type {Stored} */ (await fetchJson(`/api/documents/${id}`, {}));
  const file = async (/** @type {string} */ sha256) => readBase(await (await fetch(`/files/masks/${sha256}.png`, { credentials: "same-origin" })).blob(), sha256);
  const found = namesOf(stored.document).map(async ([at, sha256]) => /** @type {[string, Base]} */ ([at, await file(sha256)]));
  return { ...stored, state: fromDocument(stored.document, new Map(await Promise.all(found))) };
}

/** The key of how a document is worked on. @param {string} key */
const workKey = (key) => copyKey(`${key} work`);

/** Whether two states are the same document. @param {State} one @param {State} other */
export const isSameDocument = (one, other) => JSON.stringify(writeDocument(one, null)) === JSON.stringify(writeDocument(other, null));

/** A state as it is sent. @param {State} state */
export const documentText = (state) => JSON.stringify(writeDocument(state));

export class Saving {
  /**
   * @param {string} key  of what is edited, until the server has given it an id
   * @param {() => State} now
   * @param {() => Past & {run: Run | null}} work
   * @param {(state: State) => void} onTheirs  take the state of another tab or device
   * @param {(said: string, isBad: boolean) => void} tell
   */
  constructor(key, now, work, onTheirs, tell) {
    this.key = key;
    this.now = now;
    this.work = work;
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
    this.listed = ""; // the key under which it is one of the last documents
    /** @type {Promise<unknown>} one after the other */
    this.before = Promise.resolve();
  }

  /** Save what there is whenever the page is left, from now on. */
  listen() {
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && this.#leave());
    beforeSignOut.push(() => this.save());
    addEventListener("beforeunload", (event) => this.isShutOff && this.now() !== this.sent && event.preventDefault());
  }

  /** There is something new. */
  changed() {
    this.soon ??= setTimeout(() => this.#keep(), SOON);
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.save(), this.id === null ? SOON : QUIET); // what has no address yet can't be sent when the page is left
    this.tell(t("Not saved yet"), false);
  }

  /** What this browser has kept, if it is newer than what the server has. @returns {Promise<Kept & {state: State} | null>} */
  async kept() {
    const left = /** @type {Kept | null} */ (keptHere(this.#here)); // newer than the copy, where the page had no time for one
    const kept = left ?? /** @type {Kept | undefined} */ (await withCopies("readonly", (all) => all.get(copyKey(this.key))).catch(() => undefined));
    if (!kept) return null;
    const document = JSON.parse(kept.text);
    const names = new Map(namesOf(document));
    const found = /** @type {Kept["files"]} */ (kept.files ?? []).map(async ([at, file]) => /** @type {[string, Base]} */ ([at, await readBase(file, names.get(at) ?? null)]));
    return { ...kept, state: fromDocument(document, new Map(await Promise.all(found))) };
  }

  /** What this tab calls what it keeps while the page is left. */
  get #here() {
    return `edit ${this.key}`;
  }

  /** Keep how it is worked on, for this page's next time. */
  keepWork() {
    const { key, listed } = this;
    const work = /** @type {Work} */ ({ ...this.work(), v: WORK });
    withCopies("readwrite", (all) => all.put(work, workKey(key))).then(() => (key === listed ? undefined : this.#list(key))).catch(() => {}); // a convenience
  }

  /** @param {string} key */
  async #list(key) {
    this.listed = key;
    const before = /** @type {string[] | undefined} */ (await withCopies("readonly", (all) => all.get(copyKey("work"))));
    const last = [key, ...(before ?? []).filter((other) => other !== key)];
    for (const old of last.splice(MOST_WORK)) await withCopies("readwrite", (all) => all.delete(workKey(old)));
    await withCopies("readwrite", (all) => all.put(last, copyKey("work")));
  }

  /** How it was worked on in this browser. @returns {Promise<Work | null>} */
  async lastWork() {
    const work = /** @type {Work | undefined} */ (await withCopies("readonly", (all) => all.get(workKey(this.key))).catch(() => undefined));
    if (work?.v !== WORK) return null;
    const states = [work.present, ...[...work.past, ...work.future].map(({ state }) => state), ...(work.run ? [work.run.state] : [])];
    for (const state of states) for (const { tiles } of filesOf(state).values()) Object.setPrototypeOf(tiles, Tiles.prototype);
    return work;
  }

  async #keep() {
    this.soon = undefined;
    this.keepWork();
    const state = this.now();
    if (state === this.sent) return this.#forget();
    const all = [...filesOf(state)].map(async ([at, base]) => /** @type {[string, Blob]} */ ([at, await fileOf(base)]));
    const text = JSON.stringify(writeDocument(state, null));
    const kept = /** @type {Kept} */ ({ text, files: await Promise.all(all), version: this.version, id: this.id, tried: this.tried });
    await withCopies("readwrite", (all) => all.put(kept, copyKey(this.key))).then(() => (this.isShutOff = false), () => (this.isShutOff = true)); // then the server alone has it
    if (!this.isShutOff) keepHere(this.#here, null);
  }

  /** The server has it: this browser needs it no longer. */
  #forget() {
    keepHere(this.#here, null);
    return withCopies("readwrite", (all) => all.delete(copyKey(this.key))).catch(() => {});
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
    if (state === this.sent) return this.tell(t("Saved"), false);
    this.tell(t("Saving"), false);
    await sendFiles(state);
    const { tried } = this; // before
    try {
      await this.#send(state);
    } catch (error) {
      const status = error instanceof Problem ? error.status : 0;
      if (status === 404 && this.id) return this.#anew(state);
      if (!(error instanceof Problem) || status !== 412) throw error;
      const theirs = await readDocument(/** @type {string} */ (this.id));
      const isOwn = tried.includes(documentText(theirs.state)); // sent when the page before was left, or the answer was lost
      const { askConfirmed } = await import("../js/core/dialog.js");
      if (!isOwn && !(await askConfirmed(t("Edited elsewhere"), t("This document was changed in another tab or on another device. Keep what you have here, or take theirs?"), t("Keep mine"), { no: t("Take theirs") }))) return this.#take();
      this.version = isOwn ? theirs.version : Number(error.body.version);
      await this.#send(state);
    }
    this.sent = state;
    await this.#keep();
    if (this.now() === state) this.tell(t("Saved"), false);
  }

  /** The document is gone: it was deleted elsewhere. What is here becomes one of its own. @param {State} state */
  async #anew(state) {
    [this.id, this.version] = [null, 0];
    await this.#send(state);
    this.sent = state;
    this.tell(t("The document was deleted elsewhere; this is saved as a new one"), false);
  }

  /** Remember what is sent until there is an answer. @param {string} text */
  #try(text) {
    this.tried = [text, ...this.tried].slice(0, MOST_TRIED);
  }

  /** @param {State} state */
  async #send(state) {
    const body = { document: writeDocument(state) };
    this.#try(JSON.stringify(body.document));
    if (this.id === null) {
      const made = /** @type {Stored} */ (await sendJson("POST", "/api/documents", body));
      await this.#forget();
      await withCopies("readwrite", (all) => all.delete(workKey(this.key))).catch(() => {});
      [this.id, this.version, this.key] = [made.id, made.version, made.id];
      history.replaceState(null, "", `/edit/d/${made.id}`);
    } else this.version = /** @type {Stored} */ (await putDocument(this.id, this.version, JSON.stringify(body))).version;
    this.tried = [];
  }

  async #take() {
    const theirs = await readDocument(/** @type {string} */ (this.id));
    this.version = theirs.version;
    this.onTheirs(theirs.state);
    this.sent = this.now();
    await this.#keep();
    this.tell(t("Saved; Undo brings yours back"), false);
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
    const document = writeDocument(state);
    const text = JSON.stringify({ document });
    const keep = state.mask.base === sent.mask.base ? state.mask.strokes.findIndex((one, at) => one !== sent.mask.strokes[at]) : -1;
    const tail = JSON.stringify({ keep: Math.max(0, keep), strokes: state.mask.strokes.slice(Math.max(0, keep)), words: state.words });
    const isTail = text.length > TAIL && keep >= 0 && tail.length <= TAIL;
    if (text.length <= TAIL || isTail) {
      this.#try(JSON.stringify(document));
      this.#next(() => putDocument(id, this.version, isTail ? tail : text, isTail ? "PATCH" : "PUT").then(({ version }) => {
        [this.version, this.sent, this.tried] = [version, isTail ? sent : state, []];
        return this.#keep();
      }, () => {}));
    }
    this.#keepLeft(state);
  }

  /** Keep what the page has no time to copy, if that needs no masks; then the copy. @param {State} state */
  #keepLeft(state) {
    const { version, id, tried } = this;
    if (!filesOf(state).size) keepHere(this.#here, { text: JSON.stringify(writeDocument(state, null)), files: [], version, id, tried });
    this.#keep();
  }
}

/** @param {string} id @param {number} version @param {string} body @param {"PUT" | "PATCH"} [method]  the latter is sent on when the page is gone, as is what is small */
async function putDocument(id, version, body, method = "PUT") {
  const headers = { "Content-Type": "application/json", "If-Match": `"${version}"` };
  return /** @type {{version: number}} */ (await fetchJson(`/api/documents/${id}`, { method, body, headers, keepalive: body.length <= TAIL }));
}
