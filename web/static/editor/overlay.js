// The mask over the picture: a tint with an edge of two tones, computed from the mask's bytes for the part that changed.

/** @import {View} from "./view.js" */
/** @import {Mask} from "./mask.js" */

const TINT = 0x73ff3df0; // alpha, blue, green, red
const LIGHT = 0xffffffff;
const DARK = 0xff1a1a1a;

export class Overlay {
  /** @param {HTMLCanvasElement} canvas @param {typeof outlined} paint  how a row becomes pixels */
  constructor(canvas, paint = outlined) {
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
export function outlined(above, now, below, pixels, to, width) {
  for (let x = 1; x <= width; x++) {
    const near = (above[x] ?? 0) + (below[x] ?? 0) + (now[x - 1] ?? 0) + (now[x + 1] ?? 0);
    if (now[x]) pixels[to + x - 1] = near < 4 ? LIGHT : TINT;
    else if (near) pixels[to + x - 1] = DARK;
  }
}

/** One row of the screen, opaque where the mask is. @type {typeof outlined} */
export function solid(_, now, __, pixels, to, width) {
  for (let x = 1; x <= width; x++) if (now[x]) pixels[to + x - 1] = DARK;
}
