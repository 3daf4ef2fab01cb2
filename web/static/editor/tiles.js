// What parts of a mask were: squares of it, packed to bits; those that are all one value take a single number. Pure.

/** @import {Mask} from "./mask.js" */

export const TILE = 256; // px a side

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
export function snapshot(mask) {
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
