// What of each layer is shown, as pixels of its source: read by every frame, changed by the brush that restores. Pure.
import { kept } from "./document.js";
import { Mask } from "./mask.js";
import { Tiles } from "./tiles.js";

/** @import {Base, Layer, State} from "./document.js" */
/** @import {Box} from "./mask.js" */

/** @typedef {{width: number, height: number}} Size  px */

/** A clip as pixels. @param {Base | null} clip  null = all @param {Size} size  of the source */
export function pixelsOf(clip, { width, height }) {
  const mask = new Mask(width, height);
  if (clip) clip.tiles.put(mask);
  else mask.bits.fill(1);
  return mask;
}

/** As a document keeps it: null if all is shown. @param {Mask} mask @returns {Base | null} */
export function clipOf(mask) {
  const clip = kept(mask);
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
    const before = layer.clip ?? kept(pixelsOf(null, size));
    const mask = this.of(layer) ?? pixelsOf(null, size);
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
export function ontoSource(mask, { x, y, scale }, { width, height }) {
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
export function common(one, other, value = 1) {
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
export function cutOut(state, mask, from, size, id, isHole) {
  const shown = pixelsOf(from.clip, size);
  const found = common(ontoSource(mask, from, size), shown);
  if (!found.bounds) return null;
  const below = isHole ? { ...from, clip: clipOf(common(shown, found, 0)) } : from;
  const above = { ...from, id, name: "Cut-out", clip: clipOf(found) };
  return { ...state, layers: state.layers.flatMap((one) => (one === from ? [below, above] : [one])) };
}
