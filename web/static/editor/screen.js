// A document as it is looked at: the view, its pictures, the mask over them, small copies, and what differs.
import { t } from "../js/core/text.js";
import { addressOf, replayedMask, smallOf } from "./document.js";
import { Mask } from "./mask.js";

/** @import {Base, Clips, Layer, Source, State} from "./document.js" */
/** @import {Editor, Preview} from "./editor.js" */

// Where the document lies on the screen: the scale and the place of its corner, in the screen's own pixels. Pure.

const MOST = 64; // px of the screen for one of the document
const FIT_MARGIN = 24; // CSS px around a document that is fitted

/** A point of the document, and CSS px for one of its own. @typedef {{x: number, y: number, zoom: number}} Middle */

export class View {
  constructor() {
    this.width = 1; // of the canvas, in px of the screen
    this.height = 1;
    this.density = 1; // px of the screen for one of CSS
    this.scale = 1; // px of the screen for one of the document
    this.x = 0; // of the document's corner, in px of the screen; drawn at the nearest whole one
    this.y = 0;
  }

  get left() {
    return Math.round(this.x);
  }

  get top() {
    return Math.round(this.y);
  }

  /** The document's point at a point of the screen. @param {number} x @param {number} y @returns {[number, number]} */
  toDocument(x, y) {
    return [(x - this.left) / this.scale, (y - this.top) / this.scale];
  }

  /** The screen's point at a point of the document. @param {number} x @param {number} y @returns {[number, number]} */
  toScreen(x, y) {
    return [x * this.scale + this.left, y * this.scale + this.top];
  }

  /**
   * The window has another size or density: what was in the middle stays there.
   * @param {number} width  px of the screen
   * @param {number} height
   * @param {number} density
   */
  resize(width, height, density) {
    const change = density / this.density;
    this.x = width / 2 + (this.x - this.width / 2) * change;
    this.y = height / 2 + (this.y - this.height / 2) * change;
    this.scale *= change;
    [this.width, this.height, this.density] = [width, height, density];
  }

  /** What is in the middle. @returns {Middle} */
  get middle() {
    const { width, height, scale, density } = this;
    return { x: (width / 2 - this.x) / scale, y: (height / 2 - this.y) / scale, zoom: scale / density };
  }

  set middle({ x, y, zoom }) {
    this.scale = zoom * this.density;
    [this.x, this.y] = [this.width / 2 - x * this.scale, this.height / 2 - y * this.scale];
  }

  /** Show all of a document, in the middle. @param {number} width  px @param {number} height  px @param {number} [across]  of the part of the screen that it has to fit into, px @param {number} [down] */
  fit(width, height, across = this.width, down = this.height) {
    const room = 2 * FIT_MARGIN * this.density;
    this.scale = Math.min(Math.max(1, across - room) / width, Math.max(1, down - room) / height, 8 * this.density);
    this.x = (this.width - width * this.scale) / 2;
    this.y = (this.height - height * this.scale) / 2;
  }

  /** Zoom; the point of the screen at x, y stays. @param {number} factor @param {number} x @param {number} y */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const scale = Math.min(MOST, Math.max(1 / MOST, this.scale * factor));
    const change = scale / this.scale;
    this.x = x - (x - this.x) * change;
    this.y = y - (y - this.y) * change;
    this.scale = scale;
  }

  /**
   * Move by px of the screen; some of the document stays in sight.
   * @param {number} dx
   * @param {number} dy
   * @param {{width: number, height: number}} size  of the document
   */
  pan(dx, dy, size) {
    const keep = 48 * this.density;
    this.x = Math.min(this.width - keep, Math.max(keep - size.width * this.scale, this.x + dx));
    this.y = Math.min(this.height - keep, Math.max(keep - size.height * this.scale, this.y + dy));
  }
}

// The mask over the picture: a tint with an edge of two tones, computed from the mask's bytes for the part that changed.

const TINT = 0x73ff3df0; // alpha, blue, green, red
const EDGE_LIGHT = 0xffffffff;
const EDGE_DARK = 0xff1a1a1a;

export class Overlay {
  /** @param {HTMLCanvasElement} canvas @param {typeof outlinedPixel} paint  how a row becomes pixels */
  constructor(canvas, paint = outlinedPixel) {
    this.canvas = canvas;
    this.paint = paint;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.columns = new Int32Array(1); // the mask's column under each of the screen's, -1 beside it
    this.rows = [new Uint8Array(2), new Uint8Array(2), new Uint8Array(2)];
    this.at = "";
  }

  clear() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /**
   * Draw the mask's pixels in `box` (left, top, right, bottom in px of the document; null = all).
   * @param {Mask} mask
   * @param {View} view
   * @param {readonly [number, number, number, number] | null} box
   */
  draw(mask, view, box) {
    this.#aim(mask, view);
    const { width, height } = this.canvas;
    if (!box) this.clear();
    const [l, t, r, b] = box ?? mask.all; // beside the document there is nothing
    const [[x0, y0], [x1, y1]] = [view.toScreen(l, t), view.toScreen(r, b)];
    const left = Math.max(0, Math.floor(x0) - 2);
    const top = Math.max(0, Math.floor(y0) - 2);
    const right = Math.min(width, Math.ceil(x1) + 2);
    const bottom = Math.min(height, Math.ceil(y1) + 2);
    if (left >= right || top >= bottom) return;
    const image = this.context.createImageData(right - left, bottom - top);
    const pixels = new Uint32Array(image.data.buffer);
    let [above, now, below] = /** @type {[Uint8Array, Uint8Array, Uint8Array]} */ (this.rows);
    let [before, here] = [this.#row(mask, view, top - 1, left, right, above), this.#row(mask, view, top, left, right, now)];
    for (let y = top, to = 0; y < bottom; y++, to += right - left) {
      const after = this.#row(mask, view, y + 1, left, right, below);
      if (before || here || after) this.paint(above, now, below, pixels, to, right - left);
      [above, now, below, before, here] = [now, below, above, here, after];
    }
    this.context.putImageData(image, left, top);
  }

  /** @param {Mask} mask @param {View} view */
  #aim(mask, view) {
    const at = `${view.left} ${view.scale} ${this.canvas.width} ${mask.width}`;
    if (at === this.at) return;
    this.at = at;
    this.columns = new Int32Array(this.canvas.width + 2); // one more on either side, for the edges
    for (let x = -1; x <= this.canvas.width; x++) {
      const column = Math.floor((x + 0.5 - view.left) / view.scale);
      this.columns[x + 1] = column >= 0 && column < mask.width ? column : -1;
    }
    this.rows = [0, 1, 2].map(() => new Uint8Array(this.canvas.width + 2));
  }

  /**
   * Read the mask along one row of the screen. Returns whether there is any.
   * @param {Mask} mask
   * @param {View} view
   * @param {number} y
   * @param {number} left
   * @param {number} right
   * @param {Uint8Array} into  from one column before `left`
   */
  #row(mask, view, y, left, right, into) {
    const row = Math.floor((y + 0.5 - view.top) / view.scale);
    if (row < 0 || row >= mask.height) {
      into.fill(0, 0, right - left + 2);
      return false;
    }
    const { bits } = mask;
    const { columns } = this;
    const start = row * mask.width;
    let any = 0;
    for (let x = left; x < right + 2; x++) {
      const column = columns[x] ?? -1;
      any |= into[x - left] = column < 0 ? 0 : (bits[start + column] ?? 0);
    }
    return any !== 0;
  }
}

/**
 * One row of the screen: tinted inside, light at the inner edge, dark at the outer one, to be seen on any picture.
 * @param {Uint8Array} above
 * @param {Uint8Array} now
 * @param {Uint8Array} below
 * @param {Uint32Array} pixels
 * @param {number} to
 * @param {number} width
 */
export function outlinedPixel(above, now, below, pixels, to, width) {
  for (let x = 1; x <= width; x++) {
    const near = (above[x] ?? 0) + (below[x] ?? 0) + (now[x - 1] ?? 0) + (now[x + 1] ?? 0);
    if (now[x]) pixels[to + x - 1] = near < 4 ? EDGE_LIGHT : TINT;
    else if (near) pixels[to + x - 1] = EDGE_DARK;
  }
}

/** One row of the screen, the edge alone. @type {typeof outlinedPixel} */
export function edgePixel(above, now, below, pixels, to, width) {
  outlinedPixel(above, now, below, pixels, to, width);
  for (let x = to; x < to + width; x++) if (pixels[x] === TINT) pixels[x] = 0;
}

/** One row of the screen, opaque where the mask is. @type {typeof outlinedPixel} */
function solidPixel(_, now, __, pixels, to, width) {
  for (let x = 1; x <= width; x++) if (now[x]) pixels[to + x - 1] = EDGE_DARK;
}

// The layers' pictures: each at full, half, quarter … size, so that a frame never scales down by more than two.

const SMALLEST = 256; // px of the longer side, from which on no smaller level is made
const LARGE = 4_000_000; // px of a picture that takes so long that a small copy of it is shown first
const PNG = [0x89504e47, 0x0d0a1a0a]; // how its files begin

/** `levels`: full size first; of a picture that isn't there yet, a small copy alone. @typedef {{width: number, height: number, levels: ImageBitmap[]}} Loaded */

/**
 * The level to draw at a scale: the smallest that is still as large as what is shown. Pure.
 * @param {number} count  of the levels
 * @param {number} scale  px of the screen for one of the picture
 */
const levelAt = (count, scale) => Math.max(0, Math.min(count - 1, Math.floor(-Math.log2(Math.min(1, scale)) + 1e-9)));

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
    this.aside = new Overlay(document.createElement("canvas"), solidPixel); // where a layer is cut
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

  /** Only where something is drawn: what a model sees of what lies around it stays as it is. @param {Preview} preview @param {View} view */
  preview({ image, part: [x, y, w, h], box: [left, top, right, bottom], mask }, view) {
    const [u, v] = view.toScreen(left, top);
    const { naturalWidth: width, naturalHeight: height } = image;
    const context = this.#cut(mask, view);
    context.imageSmoothingEnabled = true;
    context.drawImage(image, x * width, y * height, w * width, h * height, u, v, (right - left) * view.scale, (bottom - top) * view.scale);
    this.context.drawImage(this.aside.canvas, 0, 0);
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
    if (!context) throw new Error(t("This browser has no memory left for the picture's pixels."));
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
  if (!answer.ok) throw new Error(t("A picture of this document is gone, or you don't have access to it."));
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
function chequer(context, side) {
  const tile = new OffscreenCanvas(2 * side, 2 * side);
  const draw = /** @type {OffscreenCanvasRenderingContext2D} */ (tile.getContext("2d"));
  draw.fillStyle = "#8f8c86";
  draw.fillRect(0, 0, 2 * side, 2 * side);
  draw.fillStyle = "#7c7972";
  draw.fillRect(0, 0, side, side);
  draw.fillRect(side, side, side, side);
  return /** @type {CanvasPattern} */ (context.createPattern(tile, "repeat"));
}

// Small pictures of layers that are cut, for their list: what is left of one, over a chequer.

const SIDE = 108; // px, three for each of CSS
const MARGIN = 4; // px
const FINE = 4; // places a side, that are looked at for one pixel of a thumbnail

export class Thumbs {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    /** @type {WeakMap<Base, {of: Loaded, address: string}>} */
    this.made = new WeakMap();
  }

  /** The address of a layer's thumbnail. @param {Layer} layer */
  of(layer) {
    const { clip } = layer;
    const of = this.editor.pictures.loaded.get(addressOf(layer.source));
    if (!clip || !of) return smallOf(layer.source);
    const known = this.made.get(clip);
    if (known?.of === of) return known.address;
    const address = this.#drawn(layer, of);
    this.made.set(clip, { of, address });
    return address;
  }

  /** @param {Layer} layer @param {Loaded} picture */
  #drawn(layer, { width, height, levels: [full] }) {
    const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const [left, top, right, bottom] = this.editor.clips.boxOf(layer, { width, height });
    const scale = (SIDE - 2 * MARGIN) / Math.max(right - left, bottom - top);
    const [x, y] = [(SIDE - (left + right) * scale) / 2, (SIDE - (top + bottom) * scale) / 2];
    context.putImageData(this.#left(layer, x, y, scale), 0, 0);
    context.globalCompositeOperation = "source-in";
    context.imageSmoothingQuality = "high";
    if (full) context.drawImage(full, x, y, width * scale, height * scale);
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = chequer(context, SIDE / 6);
    context.fillRect(0, 0, SIDE, SIDE);
    return canvas.toDataURL();
  }

  /** How much of each pixel of a thumbnail is left of a layer, as its opacity. @param {Layer} layer @param {number} x  of the picture's corner @param {number} y @param {number} scale */
  #left(layer, x, y, scale) {
    const image = new ImageData(SIDE, SIDE);
    const clip = this.editor.clips.of(layer);
    if (!clip) return image;
    const { bits, width, height } = clip;
    const places = (/** @type {number} */ corner, /** @type {number} */ most) => Int32Array.from({ length: SIDE * FINE }, (_, at) => within(Math.floor(((at + 0.5) / FINE - corner) / scale), most));
    const [columns, rows] = [places(x, width), places(y, height)];
    for (const [at, row] of rows.entries()) {
      if (row < 0) continue;
      const line = Math.floor(at / FINE) * SIDE;
      for (const [to, column] of columns.entries()) {
        const alpha = 4 * (line + Math.floor(to / FINE)) + 3;
        if (column >= 0 && bits[row * width + column]) image.data[alpha] = (image.data[alpha] ?? 0) + 256 / (FINE * FINE); // which stops at 255
      }
    }
    return image;
  }
}

/** A place on a side, -1 beside it. @param {number} at @param {number} most */
const within = (at, most) => (at >= 0 && at < most ? at : -1);

// Which pixels of a result differ from the original, and how many of them where nothing was to be drawn.

/** Which pixels differ, and how many outside of what was to be drawn and its seam. @param {Editor} editor @param {State} before @param {State} after @param {number | null} seam */
export function differenceOf(editor, before, after, seam) {
  const [old, now] = [editor.pixelsOf(before), editor.pixelsOf(after)];
  const mask = new Mask(before.width, before.height);
  const asked = replayedMask(before).bits;
  const far = stepsToEdge((at) => old[4 * at + 3] === 255, before.width, before.height);
  let [changed, outside] = [0, 0];
  for (let at = 0; at < mask.bits.length; at++) {
    const to = 4 * at;
    if (old[to] === now[to] && old[to + 1] === now[to + 1] && old[to + 2] === now[to + 2]) continue;
    mask.bits[at] = 1;
    changed++;
    if (!asked[at] && (far[at] ?? 0) > (seam ?? 0)) outside++;
  }
  return { mask, changed, outside };
}

/** Where a state is drawn anew: what is painted and what no layer covers; everywhere if there is neither. @param {Editor} editor @param {State} state */
export function drawnOf({ sizeOf, clips }, state) {
  const mask = replayedMask(state);
  const covered = coverOf({ state, sizeOf, clips }, state.width, state.height, 1);
  for (let at = 0; at < covered.length; at++) if (!covered[at]) mask.bits[at] = 1;
  if (!mask.bounds) mask.bits.fill(1);
  return mask;
}

/** How many steps down and across the nearest pixel is that no layer covers; 0 = it is one. @param {(at: number) => boolean} isCovered @param {number} width @param {number} height */
function stepsToEdge(isCovered, width, height) {
  const far = new Uint16Array(width * height).fill(65535);
  const step = (/** @type {number} */ at, /** @type {number} */ x, /** @type {number} */ row, /** @type {number} */ way) => {
    const [beside, over] = [x + way >= 0 && x + way < width ? (far[at + way] ?? 65535) : 65535, row + way >= 0 && row + way < height ? (far[at + way * width] ?? 65535) : 65535];
    far[at] = isCovered(at) ? Math.min(far[at] ?? 65535, Math.min(beside, over, 65534) + 1) : 0;
  };
  for (let row = 0, at = 0; row < height; row++) for (let x = 0; x < width; x++, at++) step(at, x, row, -1);
  for (let row = height - 1, at = width * height - 1; row >= 0; row--) for (let x = width - 1; x >= 0; x--, at--) step(at, x, row, 1);
  return far;
}

// The band of several layers that is drawn anew with what no layer covers, as far as it can be seen on a editor.

/** `of`: the document that it belongs to. @typedef {{of: State, canvas: OffscreenCanvas}} Band */

const FINEST = 1024; // places of the longer side that are looked at
const STRIPE = 6; // places
const [DARK, LIGHT] = [0x801a1a1a, 0x2effffff]; // alpha, blue, green, red

/** Null where there is none, or one layer, whose band is an outline. @param {Editor} editor @param {number} seam  px @returns {Band | null} */
export function bandOf(editor, seam) {
  const { state } = editor;
  if (!seam || state.layers.length < 2) return null;
  const finest = Math.max(1, Math.max(state.width, state.height) / FINEST); // px of the document for a place
  const [width, height] = [Math.ceil(state.width / finest), Math.ceil(state.height / finest)];
  const covered = coverOf(editor, width, height, finest);
  if (!covered.includes(0)) return null;
  const far = stepsToEdge((at) => covered[at] === 1, width, height);
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let at = 0; at < far.length; at++) {
    const near = (far[at] ?? 0) * finest;
    const stripe = (at % width) + Math.floor(at / width);
    if (near > 0 && near <= seam) pixels[at] = stripe % (2 * STRIPE) < STRIPE ? DARK : LIGHT;
  }
  /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
  return { of: state, canvas };
}

/** Which places a layer covers: 1. @param {Pick<Editor, "state" | "sizeOf" | "clips">} editor @param {number} width @param {number} height @param {number} finest */
function coverOf(editor, width, height, finest) {
  const covered = new Uint8Array(width * height);
  for (const layer of editor.state.layers) {
    if (!layer.visible) continue;
    const size = editor.sizeOf(layer);
    const bits = editor.clips.of(layer)?.bits;
    const columns = Int32Array.from({ length: width }, (_, at) => Math.floor(((at + 0.5) * finest - layer.x) / layer.scale));
    for (let row = 0, to = 0; row < height; row++) {
      const from = Math.floor(((row + 0.5) * finest - layer.y) / layer.scale);
      const isBeside = from < 0 || from >= size.height;
      for (const column of columns) {
        if (!isBeside && column >= 0 && column < size.width && (!bits || bits[from * size.width + column])) covered[to] = 1;
        to++;
      }
    }
  }
  return covered;
}
