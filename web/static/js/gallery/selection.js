// Which pictures are chosen: by job and number, so that scrolling and new pictures change nothing. Pure.

/** @import {Tile} from "../types.js" */

/** @param {Pick<Tile, "job" | "n">} tile */
export const keyOf = ({ job, n }) => `${job} ${n}`;

export class Selection {
  constructor() {
    /** @type {Map<string, Tile>} */
    this.chosen = new Map();
    /** The place from which shift chooses. */
    this.anchor = 0;
  }

  get size() {
    return this.chosen.size;
  }

  /** @param {Tile} tile */
  has(tile) {
    return this.chosen.has(keyOf(tile));
  }

  /**
   * @param {Tile} tile
   * @param {number} index
   */
  toggle(tile, index) {
    if (!this.chosen.delete(keyOf(tile))) this.chosen.set(keyOf(tile), tile);
    this.anchor = index;
  }

  /** @param {Tile[]} tiles */
  add(tiles) {
    for (const tile of tiles) this.chosen.set(keyOf(tile), tile);
  }

  clear() {
    this.chosen.clear();
  }
}
