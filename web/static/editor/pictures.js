// The layers' pictures: each at full, half, quarter … size, so that a frame never scales down by more than two.
import { addressOf, smallOf } from "./document.js";
import { Overlay, solid } from "./overlay.js";
import { View } from "./view.js";

/** @import {Clips} from "./clips.js" */
/** @import {Layer, Source, State} from "./document.js" */
/** @import {Mask} from "./mask.js" */
/** @import {Preview} from "./screen.js" */

const SMALLEST = 256; // px of the longer side, from which on no smaller level is made
const LARGE = 4_000_000; // px of a picture that takes so long that a small copy of it is shown first
const PNG = [0x89504e47, 0x0d0a1a0a]; // how its files begin

/** `levels`: full size first; of a picture that isn't there yet, a small copy alone. @typedef {{width: number, height: number, levels: ImageBitmap[]}} Loaded */

/**
 * The level to draw at a scale: the smallest that is still as large as what is shown. Pure.
 * @param {number} count  of the levels
 * @param {number} scale  px of the screen for one of the picture
 */
export const levelAt = (count, scale) => Math.max(0, Math.min(count - 1, Math.floor(-Math.log2(Math.min(1, scale)) + 1e-9)));

/** @typedef {{state: State, name: string}} Named */

/** The field of one of so many pictures on a canvas: two in a row. Pure. @param {number} at @param {number} count @param {{width: number, height: number}} canvas */
export function fieldOf(at, count, { width, height }) {
  const [columns, rows] = [Math.min(2, count), Math.ceil(count / 2)];
  const [w, h] = [width / columns, height / rows];
  return { left: (at % columns) * w, top: Math.floor(at / columns) * h, width: w, height: h };
}

export class Pictures {
  /** @param {HTMLCanvasElement} canvas @param {Clips} clips @param {() => void} onLoad */
  constructor(canvas, clips, onLoad) {
    this.canvas = canvas;
    this.clips = clips;
    this.aside = new Overlay(document.createElement("canvas"), solid); // where a layer is cut
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.onLoad = onLoad;
    this.isRough = false; // as long as the view moves
    /** @type {{side: number, pattern: CanvasPattern} | null} */
    this.chequer = null;
    /** @type {Map<string, Promise<Loaded>>} */
    this.asked = new Map();
    /** @type {Map<string, Loaded>} */
    this.loaded = new Map();
  }

  /** Read a picture, whole, and make its levels. Raises an Error when it can't be read. @param {Source} source @returns {Promise<Loaded>} */
  load(source) {
    const address = addressOf(source);
    const known = this.asked.get(address);
    if (known) return known;
    const found = read(address, (size) => this.#sketch(source, size));
    this.asked.set(address, found);
    found.then(
      (one) => {
        this.loaded.set(address, one);
        this.onLoad();
        level(one).then(() => this.onLoad(), () => {}); // without them it is only drawn more slowly
      },
      () => this.asked.delete(address),
    );
    return found;
  }

  /** Show a small copy of a picture until it is there itself. @param {Source} source @param {{width: number, height: number}} size */
  async #sketch(source, { width, height }) {
    const answer = await fetch("job" in source ? `${smallOf(source)}?plain=1` : smallOf(source), { credentials: "same-origin" });
    if (!answer.ok) return;
    const small = await createImageBitmap(await answer.blob());
    if (this.loaded.has(addressOf(source))) return;
    this.loaded.set(addressOf(source), { width, height, levels: [small] });
    this.onLoad();
  }

  /**
   * Draw what the view shows of a document.
   * @param {State} state
   * @param {View} view
   * @param {number | null} [from]  over what is drawn already, and only right of this share of it
   */
  draw(state, view, from = null) {
    const { context, canvas } = this;
    if (from === null) context.clearRect(0, 0, canvas.width, canvas.height);
    context.save();
    context.beginPath();
    const [width, height] = [state.width * view.scale, state.height * view.scale];
    const cut = Math.round(width * (from ?? 0));
    context.rect(view.left + cut, view.top, width - cut, height);
    context.clip();
    this.#ground(view);
    for (const layer of state.layers) {
      const picture = layer.visible ? this.loaded.get(addressOf(layer.source)) : undefined;
      if (picture) this.#layer(layer, picture, view);
    }
    context.restore();
    if (!from || from >= 1) return;
    context.fillStyle = "#1a1a1a";
    context.fillRect(view.left + cut - 2, view.top, 4, height);
    context.fillStyle = "#fff";
    context.fillRect(view.left + cut - 1, view.top, 2, height);
  }

  /** Draw several documents beside each other, each in a field of its own, where the view shows the same part of it. @param {readonly Named[]} all @param {View} view */
  beside(all, view) {
    const { context, canvas } = this;
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const [at, { state, name }] of all.entries()) {
      const { left, top, width, height } = fieldOf(at, all.length, canvas);
      const moved = { x: view.x + left + (width - canvas.width) / 2, y: view.y + top + (height - canvas.height) / 2 };
      context.save();
      context.beginPath();
      context.rect(left + 1, top + 1, width - 2, height - 2);
      context.clip();
      this.draw(state, Object.assign(new View(), view, moved), 0);
      context.restore();
      this.#tag(name, left + 8 * view.density, top + 8 * view.density, view.density);
    }
  }

  /** @param {string} name @param {number} x @param {number} y @param {number} density */
  #tag(name, x, y, density) {
    const { context } = this;
    context.font = `600 ${13 * density}px Inter, sans-serif`;
    const { width } = context.measureText(name);
    context.fillStyle = "#1a1a1acc";
    context.beginPath();
    context.roundRect(x, y, width + 16 * density, 24 * density, 6 * density);
    context.fill();
    context.fillStyle = "#fff";
    context.textBaseline = "middle";
    context.fillText(name, x + 8 * density, y + 12.5 * density);
  }

  /** Lay a picture over all of a document. @param {OffscreenCanvas} picture @param {State} state @param {View} view */
  stretch(picture, { width, height }, view) {
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(picture, view.left, view.top, width * view.scale, height * view.scale);
  }

  /** @param {Preview} preview @param {View} view */
  preview({ image, part: [x, y, w, h], box: [left, top, right, bottom] }, view) {
    const [u, v] = view.toScreen(left, top);
    const { naturalWidth: width, naturalHeight: height } = image;
    this.context.imageSmoothingEnabled = true;
    this.context.drawImage(image, x * width, y * height, w * width, h * height, u, v, (right - left) * view.scale, (bottom - top) * view.scale);
  }

  /** What no layer covers: a chequer that is neither dark nor light. @param {View} view */
  #ground(view) {
    const { context, canvas } = this;
    const side = Math.round(8 * view.density);
    if (!this.chequer || this.chequer.side !== side) this.chequer = { side, pattern: chequer(context, side) };
    context.fillStyle = this.chequer.pattern;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }

  /** @param {Layer} layer @param {Loaded} picture @param {View} view */
  #layer(layer, picture, view) {
    const scale = layer.scale * view.scale;
    const level = picture.levels[levelAt(picture.levels.length, scale)];
    if (!level) return;
    const [x, y] = view.toScreen(layer.x, layer.y);
    const clip = this.clips.of(layer);
    const context = clip ? this.#cut(clip, Object.assign(new View(), { scale, x, y })) : this.context;
    context.imageSmoothingEnabled = scale < 2 && !this.isRough;
    this.context.globalAlpha = layer.opacity;
    context.drawImage(level, x, y, picture.width * scale, picture.height * scale);
    if (clip) this.context.drawImage(this.aside.canvas, 0, 0);
    this.context.globalAlpha = 1;
  }

  /** Where to draw a layer of which only its clip is shown. @param {Mask} clip @param {View} view  of the layer */
  #cut(clip, view) {
    const { aside, canvas } = this;
    if (aside.canvas.width !== canvas.width || aside.canvas.height !== canvas.height) [aside.canvas.width, aside.canvas.height] = [canvas.width, canvas.height];
    aside.context.globalCompositeOperation = "source-over";
    aside.draw(clip, view, null);
    aside.context.globalCompositeOperation = "source-in";
    return aside.context;
  }

  /** The document's pixels (RGBA), composed at its own size. @param {State} state */
  pixels(state) {
    const canvas = new OffscreenCanvas(state.width, state.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("This browser has no memory left for the picture's pixels.");
    for (const layer of state.layers) {
      const picture = layer.visible ? this.loaded.get(addressOf(layer.source)) : undefined;
      const [full] = picture?.levels ?? [];
      if (!picture || !full) continue;
      const clip = this.clips.of(layer);
      context.globalAlpha = layer.opacity;
      context.drawImage(clip ? cut(full, clip) : full, layer.x, layer.y, picture.width * layer.scale, picture.height * layer.scale);
    }
    return context.getImageData(0, 0, state.width, state.height).data;
  }
}

/** A picture of which only its clip is there. @param {ImageBitmap} picture @param {Mask} clip */
function cut(picture, { bits, width, height }) {
  const found = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (found.getContext("2d"));
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let at = 0; at < pixels.length; at++) pixels[at] = bits[at] ? 0xff000000 : 0;
  context.putImageData(image, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.drawImage(picture, 0, 0, width, height);
  return found;
}

/** @param {string} address @param {(size: {width: number, height: number}) => Promise<void>} onLarge  a large one is on its way @returns {Promise<Loaded>} with its full size alone */
async function read(address, onLarge) {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok) throw new Error("A picture of this document isn't there any more, or it isn't yours to see.");
  const parts = [];
  const reader = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (answer.body).getReader();
  for (let { done, value } = await reader.read(); !done && value; { done, value } = await reader.read()) {
    const size = parts.length ? null : sizeOf(value);
    if (size && size.width * size.height > LARGE) onLarge(size).catch(() => {}); // it is seen later, then
    parts.push(value);
  }
  const full = await createImageBitmap(new Blob(parts));
  return { width: full.width, height: full.height, levels: [full] };
}

/** The size of a picture that begins like this, null if it doesn't say. https://www.w3.org/TR/png-3/#11IHDR @param {Uint8Array} bytes */
function sizeOf({ buffer, byteOffset, byteLength }) {
  const view = new DataView(buffer, byteOffset, byteLength);
  const isPng = byteLength >= 24 && PNG.every((word, at) => view.getUint32(4 * at) === word);
  return isPng ? { width: view.getUint32(16), height: view.getUint32(20) } : null;
}

/** Make the smaller levels of a picture that is shown already. @param {Loaded} picture */
async function level({ width, height, levels }) {
  while (Math.max(width, height) > 2 * SMALLEST) {
    [width, height] = [Math.ceil(width / 2), Math.ceil(height / 2)];
    const last = /** @type {ImageBitmap} */ (levels.at(-1));
    levels.push(await createImageBitmap(last, { resizeWidth: width, resizeHeight: height, resizeQuality: "low" }));
  }
}

/** What stands for nothing. @param {CanvasRenderingContext2D} context @param {number} side  of a square, px */
export function chequer(context, side) {
  const tile = new OffscreenCanvas(2 * side, 2 * side);
  const draw = /** @type {OffscreenCanvasRenderingContext2D} */ (tile.getContext("2d"));
  draw.fillStyle = "#8f8c86";
  draw.fillRect(0, 0, 2 * side, 2 * side);
  draw.fillStyle = "#7c7972";
  draw.fillRect(0, 0, side, side);
  draw.fillRect(side, side, side, side);
  return /** @type {CanvasPattern} */ (context.createPattern(tile, "repeat"));
}
