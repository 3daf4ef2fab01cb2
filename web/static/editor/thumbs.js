// Small pictures of layers that are cut, for their list: what is left of one, over a chequer.
import { addressOf, smallOf } from "./document.js";
import { chequer } from "./pictures.js";

/** @import {Base, Layer} from "./document.js" */
/** @import {Loaded} from "./pictures.js" */
/** @import {Screen} from "./screen.js" */

const SIDE = 108; // px, three for each of CSS
const MARGIN = 4; // px
const FINE = 4; // places a side, that are looked at for one pixel of a thumbnail

export class Thumbs {
  /** @param {Screen} screen */
  constructor(screen) {
    this.screen = screen;
    /** @type {WeakMap<Base, {of: Loaded, address: string}>} */
    this.made = new WeakMap();
  }

  /** The address of a layer's thumbnail. @param {Layer} layer */
  of(layer) {
    const { clip } = layer;
    const of = this.screen.pictures.loaded.get(addressOf(layer.source));
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
    const [left, top, right, bottom] = this.screen.clips.boxOf(layer, { width, height });
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
    const clip = this.screen.clips.of(layer);
    if (!clip) return image;
    const { bits, width, height } = clip;
    const places = (/** @type {number} */ corner, /** @type {number} */ most) => Int32Array.from({ length: SIDE * FINE }, (_, at) => inside(Math.floor(((at + 0.5) / FINE - corner) / scale), most));
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
const inside = (at, most) => (at >= 0 && at < most ? at : -1);
