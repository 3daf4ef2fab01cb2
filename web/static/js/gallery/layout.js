// Where each cell of the gallery lies. All cells are equal, so this is arithmetic. Pure.

const SEGMENT = 900_000; // px at most: browsers cut boxes at 2²⁴ device px
export const MOST_TILES = 400; // in the document at once

/** @typedef {{columns: number, rows: number, pitch: number, perSegment: number, height: number}} Layout */

/**
 * @param {number} total  cells
 * @param {number} columns
 * @param {number} pitch  px from the top of a row to the top of the next
 * @returns {Layout}
 */
export function layoutOf(total, columns, pitch) {
  const rows = Math.ceil(total / columns);
  return { columns, rows, pitch, perSegment: Math.max(1, Math.floor(SEGMENT / pitch)), height: rows * pitch };
}

/**
 * The heights of the boxes that the rows are spread over.
 * @param {Layout} layout
 */
export function segmentHeights({ rows, perSegment, pitch }) {
  const count = Math.ceil(rows / perSegment);
  return Array.from({ length: count }, (_, index) => Math.min(perSegment, rows - index * perSegment) * pitch);
}

/**
 * The first and the last row (not included) that are drawn: what is seen, and `ahead` rows on both sides as far
 * as MOST_TILES allow.
 * @param {Layout} layout
 * @param {number} top  px above the window, within the gallery
 * @param {number} view  px that are seen
 * @param {number} ahead
 * @returns {[number, number]}
 */
export function rowsIn({ columns, rows, pitch }, top, view, ahead) {
  const most = Math.max(1, Math.floor(MOST_TILES / columns));
  const seen = Math.min(most, Math.ceil(view / pitch) + 1);
  const begin = Math.max(0, Math.min(Math.floor(top / pitch), rows - seen));
  const before = Math.min(ahead, Math.floor((most - seen) / 2), begin);
  const last = Math.min(rows, begin + seen + Math.min(ahead, most - seen - before));
  return [begin - before, last];
}

/**
 * The segment of a row, and the row's px from that segment's top.
 * @param {Layout} layout
 * @param {number} row
 */
export function placeOf({ perSegment, pitch }, row) {
  const segment = Math.floor(row / perSegment);
  return { segment, top: (row - segment * perSegment) * pitch };
}
