// What is painted, as pixels: the mask, its tiles, the strokes that change it, the wand, and masks as PNG files.
import { t } from "../js/core/text.js";

// The mask as bytes, and the one way in which strokes become pixels: tests/studio/editor/reference.py defines it to the bit. Pure.

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

// What parts of a mask were: squares of it, packed to bits; those that are all one value take a single number. Pure.

const TILE = 256; // px a side

/** @typedef {{x: number, y: number, width: number, height: number, packed: Uint8Array | 0 | 1}} Tile */

export class Tiles {
  constructor() {
    /** @type {Map<number, Tile>} by place */
    this.kept = new Map();
  }

  /** Bytes that these take. */
  get bytes() {
    let sum = 0;
    for (const { packed } of this.kept.values()) sum += 64 + (typeof packed === "number" ? 0 : packed.length);
    return sum;
  }

  /**
   * Keep what a mask is now in every square that `box` touches and that isn't kept yet.
   * @param {Mask} mask
   * @param {readonly [number, number, number, number]} box  left, top, right, bottom in px, the last two excluded
   */
  touch(mask, [left, top, right, bottom]) {
    for (let y = Math.max(0, Math.floor(top / TILE)); y * TILE < Math.min(mask.height, bottom); y++) {
      for (let x = Math.max(0, Math.floor(left / TILE)); x * TILE < Math.min(mask.width, right); x++) {
        if (!this.kept.has(y * 65536 + x)) this.kept.set(y * 65536 + x, taken(mask, x * TILE, y * TILE));
      }
    }
  }

  /** Make the mask what it was in these squares, but for those that `known` has too. @param {Mask} mask @param {Tiles} [known] */
  put(mask, known) {
    for (const [place, tile] of this.kept) if (known?.kept.get(place) !== tile) put(mask, tile);
  }

  /** The same with the squares that `others` has as the mask is now. @param {Mask} mask @param {Tiles} others */
  renewed(mask, others) {
    const all = new Tiles();
    all.kept = new Map(this.kept);
    for (const [place, { x, y }] of others.kept) all.kept.set(place, taken(mask, x, y));
    return all;
  }

  /** Whether every pixel is set. */
  get isWhole() {
    return [...this.kept.values()].every(({ packed }) => packed === 1);
  }

  /** Make the mask what it was in these squares. Returns what it was until now. @param {Mask} mask */
  swap(mask) {
    const now = new Tiles();
    for (const [place, tile] of this.kept) {
      now.kept.set(place, taken(mask, tile.x, tile.y));
      put(mask, tile);
    }
    return now;
  }

  /** The smallest box around these squares. @returns {[number, number, number, number] | null} */
  get box() {
    const all = [...this.kept.values()];
    if (!all.length) return null;
    const most = (/** @type {number[]} */ of) => of.reduce((a, b) => Math.max(a, b));
    return [-most(all.map(({ x }) => -x)), -most(all.map(({ y }) => -y)), most(all.map(({ x, width }) => x + width)), most(all.map(({ y, height }) => y + height))];
  }
}

/** All of a mask. @param {Mask} mask */
export function snapshotTiles(mask) {
  const tiles = new Tiles();
  tiles.touch(mask, [0, 0, mask.width, mask.height]);
  return tiles;
}

/** @param {Mask} mask @param {number} x @param {number} y @returns {Tile} */
function taken(mask, x, y) {
  const width = Math.min(TILE, mask.width - x);
  const height = Math.min(TILE, mask.height - y);
  const packed = new Uint8Array((width * height + 7) >> 3);
  let sum = 0;
  for (let row = 0, to = 0; row < height; row++) {
    let from = (y + row) * mask.width + x;
    for (const end = from + width; from < end; from++, to++) {
      if (!mask.bits[from]) continue;
      sum++;
      packed[to >> 3] = (packed[to >> 3] ?? 0) | (1 << (to & 7));
    }
  }
  return { x, y, width, height, packed: sum === 0 ? 0 : sum === width * height ? 1 : packed };
}

/** @param {Mask} mask @param {Tile} tile */
function put(mask, { x, y, width, height, packed }) {
  for (let row = 0, at = 0; row < height; row++) {
    let to = (y + row) * mask.width + x;
    if (typeof packed === "number") mask.bits.fill(packed, to, to + width);
    else for (const end = to + width; to < end; to++, at++) mask.bits[to] = ((packed[at >> 3] ?? 0) >> (at & 7)) & 1;
  }
}

// Strokes as a document keeps them: their points as text, what they paint, and the box that they touch. Pure.

/** @typedef {readonly [x: number, y: number]} Spot  ⅛ px */
/** @typedef {{tool: "brush", value: 0 | 1, r: number[], at: [number, number], xy: string}} BrushStroke */
/** @typedef {{tool: "lasso", value: 0 | 1, at: [number, number], xy: string}} LassoStroke */
/** @typedef {{tool: "rect", value: 0 | 1, box: Box} | {tool: "invert"} | {tool: "grow" | "shrink", px: number}} PlainStroke */
/** @typedef {BrushStroke | LassoStroke | PlainStroke} Stroke */

const LONGEST = 32767; // ⅛ px between two points
const [LEAST, MOST] = [-32768, 65535]; // ⅛ px, of a point
const THINNEST = 6; // ⅛ px: a smaller radius may miss every pixel
const THICKEST = 32768;
const POINTS = 4000; // of one brush stroke; longer ones are kept as several

/** Round a place in px to ⅛ px. @param {number} px */
export const eighthsOf = (px) => Math.min(MOST, Math.max(LEAST, Math.round(px * 8)));

/** A radius in ⅛ px, of a size across in px. @param {number} px */
export const radiusOf = (px) => Math.min(THICKEST, Math.max(THINNEST, Math.round(px * 4)));

/** What lies between two points, if they are too far apart for one way. @param {Spot} from @param {Spot} to @returns {Spot[]} */
export function pointsBetween(from, to) {
  if (Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])) <= LONGEST) return [to];
  return [[Math.trunc((from[0] + to[0]) / 2), Math.trunc((from[1] + to[1]) / 2)], to];
}

/** @param {readonly Spot[]} points */
function packPoints(points) {
  const ways = new DataView(new ArrayBuffer(4 * (points.length - 1)));
  for (let at = 1; at < points.length; at++) {
    const [[x, y], [u, v]] = [points[at] ?? [0, 0], points[at - 1] ?? [0, 0]];
    ways.setInt16(4 * at - 4, x - u, true);
    ways.setInt16(4 * at - 2, y - v, true);
  }
  let text = "";
  for (const byte of new Uint8Array(ways.buffer)) text += String.fromCharCode(byte);
  return btoa(text);
}

/** @param {{at: readonly number[], xy: string}} stroke @returns {[number, number][]} */
function unpackPoints({ at: [x = 0, y = 0], xy }) {
  const ways = new DataView(Uint8Array.from(atob(xy), (letter) => letter.charCodeAt(0)).buffer);
  /** @type {[number, number][]} */
  const points = [[x, y]];
  for (let at = 0; at < ways.byteLength; at += 4) points.push([(x += ways.getInt16(at, true)), (y += ways.getInt16(at + 2, true))]);
  return points;
}

/**
 * @param {readonly Spot[]} points
 * @param {readonly number[]} r  one for each point
 * @param {0 | 1} value
 * @returns {BrushStroke[]}  several for a very long one: each begins where the one before ends
 */
export function brushStrokes(points, r, value) {
  const strokes = [];
  for (let from = 0; from === 0 || from < points.length - 1; from += POINTS - 1) {
    const part = points.slice(from, from + POINTS);
    const radii = r.slice(from, from + POINTS);
    const even = radii.every((one) => one === radii[0]);
    const [x, y] = part[0] ?? [0, 0];
    strokes.push({ tool: /** @type {const} */ ("brush"), value, r: even ? radii.slice(0, 1) : radii, at: /** @type {[number, number]} */ ([x, y]), xy: packPoints(part) });
  }
  return strokes;
}

/** @param {readonly Spot[]} points @param {0 | 1} value @returns {LassoStroke} */
export function lassoStroke(points, value) {
  const whole = [...points.slice(0, 1), ...points.slice(1).flatMap((point, at) => pointsBetween(points[at] ?? point, point))];
  const [x, y] = whole[0] ?? [0, 0];
  return { tool: "lasso", value, at: [x, y], xy: packPoints(whole) };
}

/** The pixels that a capsule may touch, in ⅛ px. @param {Spot} from @param {Spot} to @param {number} r @returns {Box} */
export const boxAroundLine = ([x0, y0], [x1, y1], r) => [
  Math.floor((Math.min(x0, x1) - r) / 8),
  Math.floor((Math.min(y0, y1) - r) / 8),
  Math.ceil((Math.max(x0, x1) + r) / 8) + 1,
  Math.ceil((Math.max(y0, y1) + r) / 8) + 1,
];

/** The pixels that a stroke may touch. @param {Stroke} stroke @param {Mask} mask @returns {Box} */
export function touchedBox(stroke, mask) {
  if (stroke.tool === "rect") return stroke.box;
  if (stroke.tool === "invert" || stroke.tool === "shrink") return mask.all;
  if ("px" in stroke) {
    const [left, top, right, bottom] = mask.bounds ?? [0, 0, 0, 0];
    return [left - stroke.px, top - stroke.px, right + stroke.px, bottom + stroke.px];
  }
  const points = unpackPoints(stroke);
  const most = "r" in stroke ? stroke.r.reduce((a, b) => Math.max(a, b)) : 0;
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [least, greatest] = [(/** @type {number[]} */ of) => of.reduce((a, b) => Math.min(a, b)), (/** @type {number[]} */ of) => of.reduce((a, b) => Math.max(a, b))];
  return boxAroundLine([least(xs), least(ys)], [greatest(xs), greatest(ys)], most);
}

/** Paint a stroke. @param {Mask} mask @param {Stroke} stroke */
export function applyStroke(mask, stroke) {
  switch (stroke.tool) {
    case "rect":
      return mask.rect(stroke.box, stroke.value);
    case "lasso":
      return mask.lasso(unpackPoints(stroke), stroke.value);
    case "brush": {
      const points = unpackPoints(stroke);
      points.forEach(([x, y], at) => mask.capsule(...(points[at - 1] ?? [x, y]), x, y, stroke.r[stroke.r.length > 1 ? at : 0] ?? THINNEST, stroke.value));
      return;
    }
    case "invert":
      return mask.invert();
    default:
      return mask[stroke.tool](stroke.px);
  }
}

// The wand: what looks like the place that was pressed, found in slices so that the page goes on meanwhile. Pure.

const SLICE = 200_000; // px between two looks at the clock

/**
 * The pixels around a place whose colour is within `tolerance` of its own in every channel, 1 = found. Yields now and then.
 * @param {Uint8ClampedArray} pixels  RGBA
 * @param {number} width
 * @param {number} height
 * @param {number} x
 * @param {number} y
 * @param {number} tolerance  0 to 255
 * @returns {Generator<undefined, Uint8Array>}
 */
export function* floodFill(pixels, width, height, x, y, tolerance) {
  const found = new Uint8Array(width * height);
  const start = y * width + x;
  const [r, g, b, a] = pixels.subarray(4 * start, 4 * start + 4);
  const near = (/** @type {number | undefined} */ one, /** @type {number | undefined} */ other) => Math.abs((one ?? 0) - (other ?? 0)) <= tolerance;
  const like = (/** @type {number} */ at) => !found[at] && near(pixels[4 * at], r) && near(pixels[4 * at + 1], g) && near(pixels[4 * at + 2], b) && near(pixels[4 * at + 3], a);
  const todo = [start];
  let since = 0;
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    if (!like(at)) continue;
    const row = at - (at % width);
    let [from, to] = [at, at];
    while (from > row && like(from - 1)) from--;
    while (to < row + width - 1 && like(to + 1)) to++;
    found.fill(1, from, to + 1);
    for (const way of [-width, width]) {
      for (let next = from + way, isOpen = false; next <= to + way && next >= 0 && next < found.length; next++) {
        const isLike = like(next);
        if (isLike && !isOpen) todo.push(next);
        isOpen = isLike;
      }
    }
    if ((since += to - from + 1) < SLICE) continue;
    since = 0;
    yield;
  }
  return found;
}

// Masks as PNG files of one bit a pixel, written and read with the platform's own deflate. Pure.
// Source: https://www.w3.org/TR/png-3/.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CRC = Int32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = -1;
  for (let at = 0; at < bytes.length; at++) crc = (CRC[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0) ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}

/** @param {string} kind @param {Uint8Array} body */
function chunk(kind, body) {
  const out = new Uint8Array(12 + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  for (let at = 0; at < 4; at++) out[4 + at] = kind.charCodeAt(at);
  out.set(body, 8);
  view.setUint32(8 + body.length, crc32(out.subarray(4, 8 + body.length)));
  return out;
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {CompressionStream | DecompressionStream} way */
const through = async (bytes, way) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(way)).arrayBuffer());

/** @param {Uint8Array} bits  one byte a pixel, 0 or 1 @param {number} width @param {number} height */
export async function encodePng(bits, width, height) {
  const stride = ((width + 7) >> 3) + 1; // a byte for the filter, none
  const raw = new Uint8Array(stride * height);
  for (let y = 0, from = 0; y < height; y++) {
    const row = y * stride + 1;
    for (let x = 0; x < width; x++, from++) if (bits[from]) raw[row + (x >> 3)] = (raw[row + (x >> 3)] ?? 0) | (128 >> (x & 7));
  }
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head[8] = 1; // bit a pixel, grey
  const data = await through(raw, new CompressionStream("deflate"));
  return new Blob([new Uint8Array(SIGNATURE), chunk("IHDR", head), chunk("IDAT", data), chunk("IEND", new Uint8Array())], { type: "image/png" });
}

/**
 * Read a mask that is a PNG of one grey bit a pixel, its rows without a filter. Raises an Error for any other kind.
 * @param {Uint8Array} file
 * @returns {Promise<{width: number, height: number, bits: Uint8Array}>}
 */
export async function decodePng(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  if (SIGNATURE.some((byte, at) => file[at] !== byte) || view.getUint32(24) !== 0x01000000 || file[28] !== 0) throw new Error(t("This isn't a mask."));
  const parts = [];
  for (let at = 8; at < file.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x49444154) parts.push(file.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const data = new Uint8Array(await new Blob(/** @type {Uint8Array<ArrayBuffer>[]} */ (parts)).arrayBuffer());
  const stride = ((width + 7) >> 3) + 1;
  const rows = await through(data, new DecompressionStream("deflate"));
  const bits = new Uint8Array(width * height);
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * stride + 1;
    for (let x = 0; x < width; x++, to++) bits[to] = ((rows[row + (x >> 3)] ?? 0) >> (7 - (x & 7))) & 1;
  }
  return { width, height, bits };
}
