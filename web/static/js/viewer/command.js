// A job as the command that asks for it in Discord. Pure.

/** @import {Job} from "../types.js" */

/**
 * The prompt with the seed that drew this picture, so that the command draws it again.
 * @param {Pick<Job, "prompt">} job
 * @param {number | null} seed
 */
export function commandOf({ prompt }, seed) {
  const own = /(?:--|—)(?:same)?seed\b/i.test(prompt) || seed === null ? "" : ` --seed ${seed}`;
  return `/imagine prompt:${prompt}${own}`;
}
