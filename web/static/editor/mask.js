// The mask as bytes, and the one way in which strokes become pixels: docs/editor.md defines it to the bit. Pure.

/** @typedef {[left: number, top: number, right: number, bottom: number]} Box  px, the last two excluded */

const CENTRE = 4; // ⅛ px from a pixel's edge to its middle

export class Mask {
  /** @param {number} width  px @param {number} height */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.bits = new Uint8Array(width * height); // 0 or 1, row by row
  }

  /** @returns {Box} */
  get all() {
    return [0, 0, this.width, this.height];
  }

  /** How many pixels are painted. */
  get count() {
    let sum = 0;
    for (let at = 0; at < this.bits.length; at++) sum += this.bits[at] ?? 0;
    return sum;
  }

  /** Whether every pixel of a box is painted. @param {Readonly<Box>} box  within the mask */
  isFull([left, top, right, bottom]) {
    for (let y = top; y < bottom; y++) if (this.bits.subarray(y * this.width + left, y * this.width + right).includes(0)) return false;
    return true;
  }

  /** The smallest box around what is painted, null without any. @returns {Box | null} */
  get bounds() {
    const { bits, width, height } = this;
    const first = bits.indexOf(1);
    if (first < 0) return null;
    const [top, bottom] = [Math.floor(first / width), Math.floor(bits.lastIndexOf(1) / width) + 1];
    let [left, right] = [width, 0];
    for (let y = top; y < bottom && (left > 0 || right < width); y++) {
      const row = bits.subarray(y * width, (y + 1) * width);
      const found = row.indexOf(1);
      if (found < 0) continue;
      left = Math.min(left, found);
      right = Math.max(right, row.lastIndexOf(1) + 1);
    }
    return [left, top, Math.min(right, width), Math.min(bottom, height)];
  }

  /**
   * Every pixel whose centre lies within `r` of a line. All in ⅛ px.
   * @param {number} x0
   * @param {number} y0
   * @param {number} x1
   * @param {number} y1
   * @param {number} r
   * @param {0 | 1} value
   */
  capsule(x0, y0, x1, y1, r, value) {
    const [dx, dy] = [x1 - x0, y1 - y0];
    const len2 = dx * dx + dy * dy;
    const reach = r * Math.sqrt(len2);
    const top = Math.max(0, Math.ceil((Math.min(y0, y1) - r - CENTRE) / 8));
    const bottom = Math.min(this.height - 1, Math.floor((Math.max(y0, y1) + r - CENTRE) / 8));
    for (let y = top; y <= bottom; y++) {
      const cy = 8 * y + CENTRE;
      let [lo, hi] = [Infinity, -Infinity];
      const [h0, h1] = [r * r - (cy - y0) * (cy - y0), r * r - (cy - y1) * (cy - y1)];
      if (h0 >= 0) [lo, hi] = [x0 - Math.sqrt(h0), x0 + Math.sqrt(h0)];
      if (h1 >= 0) [lo, hi] = [Math.min(lo, x1 - Math.sqrt(h1)), Math.max(hi, x1 + Math.sqrt(h1))];
      if (len2 > 0) {
        const ey = cy - y0;
        let [a, b] = [-Infinity, Infinity];
        if (dy !== 0) {
          const [c1, c2] = [(dx * ey - reach) / dy, (dx * ey + reach) / dy];
          [a, b] = [Math.min(c1, c2), Math.max(c1, c2)];
        } else if (Math.abs(dx * ey) > reach) [a, b] = [1, 0];
        if (dx !== 0) {
          const [d1, d2] = [(-dy * ey) / dx, (len2 - dy * ey) / dx];
          [a, b] = [Math.max(a, Math.min(d1, d2)), Math.min(b, Math.max(d1, d2))];
        } else if (dy * ey < 0 || dy * ey > len2) [a, b] = [1, 0];
        if (a <= b) [lo, hi] = [Math.min(lo, x0 + a), Math.max(hi, x0 + b)];
      }
      if (lo <= hi) this.#span(y, Math.ceil((lo - CENTRE) / 8), Math.floor((hi - CENTRE) / 8) + 1, value);
    }
  }

  /** A closed polygon, even-odd. @param {readonly (readonly [number, number])[]} points  ⅛ px @param {0 | 1} value */
  lasso(points, value) {
    const ys = points.map(([, y]) => y);
    const top = Math.max(0, Math.floor((ys.reduce((a, b) => Math.min(a, b)) - CENTRE) / 8));
    const bottom = Math.min(this.height - 1, Math.ceil((ys.reduce((a, b) => Math.max(a, b)) - CENTRE) / 8));
    for (let y = top; y <= bottom; y++) {
      const cy = 8 * y + CENTRE;
      const crossings = [];
      for (let at = 0; at < points.length; at++) {
        const [x0, y0] = points[at] ?? [0, 0];
        const [x1, y1] = points[(at + 1) % points.length] ?? [0, 0];
        if (y0 <= cy !== y1 <= cy) crossings.push(x0 + ((cy - y0) * (x1 - x0)) / (y1 - y0));
      }
      crossings.sort((a, b) => a - b);
      for (let at = 0; at + 1 < crossings.length; at += 2) {
        this.#span(y, Math.ceil(((crossings[at] ?? 0) - CENTRE) / 8), Math.ceil(((crossings[at + 1] ?? 0) - CENTRE) / 8), value);
      }
    }
  }

  /** @param {Readonly<Box>} box @param {0 | 1} value */
  rect([left, top, right, bottom], value) {
    for (let y = Math.max(0, top); y < Math.min(this.height, bottom); y++) this.#span(y, left, right, value);
  }

  invert() {
    const { bits } = this;
    for (let at = 0; at < bits.length; at++) bits[at] = bits[at] ? 0 : 1;
  }

  /** Set every pixel that has a set one within `px`, centre to centre. @param {number} px */
  grow(px) {
    const box = this.bounds;
    if (!box) return;
    const { width, height, bits } = this;
    const [top, bottom] = [Math.max(0, box[1] - px), Math.min(height, box[3] + px)];
    const far = this.#rowsAway(px, top, bottom);
    const half = Array.from({ length: px + 1 }, (_, away) => wide(px, away)); // of the disc, `away` rows from its middle
    for (let y = top; y < bottom; y++) {
      const row = (y - top) * width;
      for (let x = 0, until = -1; x < width; x++) {
        until = Math.max(until, x + (half[far[row + x] ?? 0] ?? -Infinity));
        if (x <= until) bits[y * width + x] = 1;
      }
      for (let x = width - 1, until = width; x >= 0; x--) {
        until = Math.min(until, x - (half[far[row + x] ?? 0] ?? -Infinity));
        if (x >= until) bits[y * width + x] = 1;
      }
    }
  }

  /** @param {number} px */
  shrink(px) {
    this.invert();
    this.grow(px);
    this.invert();
  }

  /** How many rows the nearest set pixel of each column is away, px + 1 for further. @param {number} px @param {number} top @param {number} bottom */
  #rowsAway(px, top, bottom) {
    const { width, bits } = this;
    const far = new Uint8Array((bottom - top) * width);
    const before = new Uint8Array(width).fill(px + 1);
    const pass = (/** @type {number} */ y) => {
      for (let x = 0, at = (y - top) * width, from = y * width; x < width; x++, at++, from++) {
        const seen = bits[from] ? 0 : Math.min(px + 1, (before[x] ?? 0) + 1);
        before[x] = seen;
        far[at] = far[at] === 0 && !bits[from] ? seen : Math.min(far[at] ?? 0, seen);
      }
    };
    for (let y = top; y < bottom; y++) pass(y);
    before.fill(px + 1);
    for (let y = bottom - 1; y >= top; y--) pass(y);
    return far;
  }

  /** @param {number} y @param {number} from @param {number} to  excluded @param {0 | 1} value */
  #span(y, from, to, value) {
    const [left, right] = [Math.max(0, from), Math.min(this.width, to)];
    if (left < right) this.bits.fill(value, y * this.width + left, y * this.width + right);
  }
}

/** The most whole px that lie within `px` of a point, `away` rows from it. @param {number} px @param {number} away */
function wide(px, away) {
  let found = 0;
  while ((found + 1) * (found + 1) + away * away <= px * px) found++;
  return found;
}
