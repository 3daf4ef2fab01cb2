// Compares what a gallery shows with what the server has now.
import { Problem, readJob } from "../core/api.js";
import { keyOf } from "./selection.js";

/** @import {Tile} from "../types.js" */
/** @import {Source} from "./source.js" */

const MOST = 8; // jobs that are asked about

/**
 * Whether a source begins with these pictures, as far as it has read them.
 * @param {Tile[]} pictures
 * @param {Source} source
 */
export function isSame(pictures, source) {
  if (!pictures.length) return source.total === 0;
  return pictures.every((tile, index) => {
    const known = source.at(index);
    return !known || keyOf(known) === keyOf(tile);
  });
}

/**
 * Those of these pictures that are gone, or in the trash.
 * @param {Tile[]} tiles
 */
export async function goneOf(tiles) {
  const jobs = [...new Set(tiles.map(({ job }) => job))].slice(0, MOST);
  const left = new Map(await Promise.all(jobs.map(async (job) => /** @type {const} */ ([job, await numbersOf(job)]))));
  return tiles.filter(({ job, n }) => left.get(job)?.includes(n) === false);
}

/** @param {string} id */
async function numbersOf(id) {
  try {
    return (await readJob(id)).pictures.map(({ n }) => n);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return [];
    throw error;
  }
}
