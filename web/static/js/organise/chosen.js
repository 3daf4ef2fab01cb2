// What is done with chosen pictures, loaded when it is done: keep, put into the trash or a folder, download.
import { favour } from "../core/api.js";
import { counted } from "../core/text.js";
import { complain, toast } from "../core/toasts.js";
import { putAway } from "./away.js";

/** @import {Tile} from "../types.js" */
/** @import {Gallery} from "../gallery/gallery.js" */

const AT_ONCE = 4; // requests
const MOST_DOWNLOADS = 50;
const BETWEEN = 250; // ms between two downloads

/**
 * @param {Tile[]} tiles
 * @param {Gallery} gallery
 */
export async function trash(tiles, gallery) {
  await putAway(tiles, { gone: () => gallery.forget(tiles), back: () => gallery.renew() });
}

/**
 * @param {Tile[]} all
 * @param {boolean} on
 * @param {Gallery} gallery
 */
export async function like(all, on, gallery) {
  const tiles = all.filter((tile) => tile.favourite !== on);
  const done = await each(tiles, async (tile) => {
    await favour(tile.job, tile.n, on);
    tile.favourite = on;
  });
  toast(on ? `${counted(done, "favourite")} added` : `${counted(done, "favourite")} taken back`);
  gallery.draw();
}

/** @param {Tile[]} tiles */
export async function download(tiles) {
  const some = tiles.filter(({ visibility }) => visibility !== "block").slice(0, MOST_DOWNLOADS);
  if (some.length < tiles.length) toast(`${MOST_DOWNLOADS} pictures at once; hidden ones stay here`);
  for (const { job, n } of some) {
    const link = Object.assign(document.createElement("a"), { href: `/files/${job}/${n}?download=1`, download: "" });
    link.click();
    await new Promise((resolve) => setTimeout(resolve, BETWEEN));
  }
}

/**
 * Do the work for each, a few at once, until one fails. Returns how many were done.
 * @template T
 * @param {T[]} all
 * @param {(one: T) => Promise<void>} work
 */
async function each(all, work) {
  const left = [...all];
  let done = 0;
  const worker = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      await work(one);
      done += 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } catch (error) {
    left.length = 0;
    complain(error);
  }
  return done;
}
