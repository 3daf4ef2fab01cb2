// The document: what it holds, and each way in which it changes. Every state is a value of its own; none is changed. Pure.
import { snapshot } from "./tiles.js";

/** @import {Mask} from "./mask.js" */
/** @import {Stroke} from "./strokes.js" */
/** @import {Tiles} from "./tiles.js" */

/** @typedef {{job: string, n: number} | {upload: string}} Source */
/** x, y: px of its corner. `clip`: what of its source is shown, null = all. @typedef {{id: string, source: Source, x: number, y: number, scale: number, opacity: number, visible: boolean, name: string, clip: Base | null}} Layer */
/** A mask as a file: what strokes are painted over, or a clip. `sha256`: of its file, once the server has it. @typedef {{tiles: Tiles, width: number, height: number, sha256: string | null}} Base */
/** @typedef {{base: Base | null, strokes: readonly Stroke[]}} Painted */
/** @typedef {{source: Source, as: "style" | "character" | "thing"}} Reference */

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
export const fresh = (source, width, height) => ({
  width,
  height,
  layers: [layer("base", source)],
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
export const layer = (id, source) => ({ id, source, x: 0, y: 0, scale: 1, opacity: 1, visible: true, name: "", clip: null });

/** An id that no layer has. @param {State} state */
export const freeId = (state) => Array.from({ length: MOST_LAYERS + 1 }, (_, at) => `layer${at}`).find((id) => state.layers.every((one) => one.id !== id)) ?? "layer";

/** @param {State} state @param {string} id @param {Partial<Layer>} change @returns {State} */
export const withLayer = (state, id, change) => ({ ...state, layers: state.layers.map((one) => (one.id === id ? { ...one, ...change } : one)) });

/** @param {State} state @param {string} id @param {1 | -1} way @returns {State} */
export function raised(state, id, way) {
  const from = state.layers.findIndex((one) => one.id === id);
  const layers = [...state.layers];
  layers.splice(Math.max(0, from + way), 0, ...layers.splice(from, 1));
  return { ...state, layers };
}

/** @param {State} state @param {readonly Stroke[]} strokes @returns {State} */
export const withStrokes = (state, strokes) => ({ ...state, mask: { ...state.mask, strokes: [...state.mask.strokes, ...strokes] } });

/** A mask as it is now, to be a file. @param {Mask} mask @param {string | null} [sha256] @returns {Base} */
export const kept = (mask, sha256 = null) => ({ tiles: snapshot(mask), width: mask.width, height: mask.height, sha256 });

/** Every mask that a state names as a file, by the layer that it cuts; the one under the strokes by "". @param {State} state */
export function filesOf({ mask, layers }) {
  const all = [/** @type {const} */ (["", mask.base]), ...layers.map(({ id, clip }) => /** @type {const} */ ([id, clip]))];
  return new Map(all.flatMap(([at, base]) => (base ? [/** @type {[string, Base]} */ ([at, base])] : [])));
}

/** The same with this mask instead of strokes. @param {State} state @param {Mask} mask @returns {State} */
export const withBase = (state, mask) => ({ ...state, mask: { base: mask.bounds ? kept(mask) : null, strokes: [] } });

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
export function written({ mask, layers, ...rest }, instead) {
  const name = (/** @type {Base | null} */ base) => {
    if (base && !base.sha256 && instead === undefined) throw new Error("The mask isn't sent yet.");
    return base && (base.sha256 ?? instead ?? null);
  };
  return { v: 1, ...rest, layers: layers.map((one) => ({ ...one, clip: name(one.clip) })), mask: { base: name(mask.base), strokes: mask.strokes } };
}

/** @typedef {Partial<Omit<Layer, "clip">> & {id: string, source: Source, clip?: string | null}} WrittenLayer */
/** @typedef {Partial<Omit<ReturnType<typeof written>, "layers">> & {width: number, height: number, layers: WrittenLayer[]}} Written */

/**
 * From what the server has. `files`: the masks that it names, as `filesOf` has them.
 * @param {Written} document
 * @param {Map<string, Base>} files
 * @returns {State}
 */
export function fromWritten({ v: _, mask, layers, ...rest }, files) {
  const whole = layers.map((one) => ({ ...layer(one.id, one.source), ...one, clip: files.get(one.id) ?? null }));
  const first = /** @type {Layer} */ (whole[0]);
  return { ...fresh(first.source, rest.width, rest.height), ...rest, layers: whole, mask: { base: files.get("") ?? null, strokes: mask?.strokes ?? [] } };
}

/** Whether there are so many strokes that the older ones should become a base. @param {Painted} mask */
export const isLong = ({ strokes }, most = MOST_STROKES) => strokes.length > most || strokes.reduce((sum, one) => sum + ("xy" in one ? one.xy.length : 40) + ("r" in one ? 5 * one.r.length : 0), 0) > MOST_TEXT;
