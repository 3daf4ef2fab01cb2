// What is done with chosen pictures, loaded when it is done: keep, put into the trash or a folder, download.
import { pictureName, setFavourite } from "../core/api.js";
import { complain, counted, toast } from "../core/text.js";
import { putAway } from "./away.js";

/** @import {Gallery} from "../gallery/gallery.js" */
/** @import {Tile} from "../types.js" */

const AT_ONCE = 4; // requests
const MOST_IN_ZIP = 2000; // pictures

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
    await setFavourite(tile.job, tile.n, on);
    tile.favourite = on;
  });
  toast(on ? `${counted(done, "favourite")} added` : `${counted(done, "favourite")} taken back`);
  gallery.draw();
}

/**
 * One picture as it is, several as a zip file: sent by a form, so that the browser saves it while it comes.
 * @param {Tile[]} tiles
 */
export function download(tiles) {
  const [first] = tiles;
  if (!first) return;
  if (tiles.length > MOST_IN_ZIP) return toast(`A zip file holds up to ${counted(MOST_IN_ZIP, "picture")}; ${tiles.length.toLocaleString("en")} are selected.`, { bad: true });
  const bytes = `/files/${pictureName(first)}${first.seconds === null ? "" : ".mp4"}?download=1`;
  if (tiles.length === 1) return Object.assign(document.createElement("a"), { href: bytes, download: "" }).click();
  const form = Object.assign(document.createElement("form"), { method: "post", action: "/api/zip", target: "_blank", hidden: true }); // what is wrong with it is said there
  form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "pictures", value: tiles.map(pictureName).join(" ") }));
  document.body.append(form);
  form.submit();
  form.remove();
  toast(`${counted(tiles.length, "picture")} as a zip file`);
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
