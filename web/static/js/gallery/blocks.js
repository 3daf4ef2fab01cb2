// The order of all pictures as blocks: a month each with its count, or one of unknown length when there is a filter. Pure.

/** @import {Month} from "../types.js" */

/** `open`: there may be more than `count`. */
/** @typedef {{month: string | null, count: number, open: boolean}} Block */

/**
 * @param {Month[] | null} months  newest first; null = nobody has counted
 * @param {number} guess  of what isn't counted
 * @returns {Block[]}
 */
export const blocksOf = (months, guess) =>
  months ? months.map(({ month, pictures }) => ({ month, count: pictures, open: false })) : [{ month: null, count: guess, open: true }];

/** @param {Block[]} blocks */
export const total = (blocks) => blocks.reduce((sum, { count }) => sum + count, 0);

/**
 * The block of a place, and the place within it.
 * @param {Block[]} blocks
 * @param {number} index
 */
export function find(blocks, index) {
  let start = 0;
  for (const [number, block] of blocks.entries()) {
    if (index < start + block.count) return { number, offset: index - start };
    start += block.count;
  }
  return { number: Math.max(0, blocks.length - 1), offset: Math.max(0, index - start + (blocks.at(-1)?.count ?? 0)) };
}

/**
 * Where a block begins.
 * @param {Block[]} blocks
 * @param {number} number
 */
export const startOf = (blocks, number) => total(blocks.slice(0, number));

/**
 * A place as it stands in the address: "2026-11.120" or "120". Counted within the month, it stays right when
 * pictures come above.
 * @param {Block[]} blocks
 * @param {number} index
 */
export function anchorOf(blocks, index) {
  const { number, offset } = find(blocks, index);
  const month = blocks[number]?.month;
  return index === 0 ? "" : month ? `${month}.${offset}` : String(offset);
}

/**
 * @param {Block[]} blocks
 * @param {string} anchor
 */
export function indexOf(blocks, anchor) {
  const [, month, offset] = /^(?:(\d{4}-\d\d)\.?)?(\d*)$/.exec(anchor) ?? [];
  const number = month ? blocks.findIndex((block) => block.month === month) : 0;
  if (number < 0) return 0;
  const within = Math.min(Number(offset ?? 0), Math.max(0, (blocks[number]?.count ?? 1) - 1));
  return startOf(blocks, number) + within;
}
