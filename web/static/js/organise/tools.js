// The tools for chosen pictures, and what keys do with them.
import { shortcuts } from "../core/page.js";

/** @import {Tile} from "../types.js" */
/** @import {Tool} from "../gallery/bulk.js" */
/** @import {Gallery} from "../gallery/gallery.js" */

const chosen = () => import("./chosen.js");

/** @param {Tile[]} tiles */
const liked = (tiles) => tiles.every(({ favourite }) => favourite);

/**
 * @param {Gallery} gallery
 * @returns {Tool[]}
 */
export const pictureTools = (gallery) => [
  { icon: "heart", label: (tiles) => (liked(tiles) ? "Remove from favourites" : "Favourite"), look: (tiles) => (liked(tiles) ? "liked" : ""), work: async (tiles) => (await chosen()).like(tiles, !liked(tiles), gallery) },
  { icon: "folder-add", label: () => "Add to a folder", work: async (tiles) => (await import("./choose.js")).chooseFolder(tiles) },
  { icon: "download", label: () => "Download", work: async (tiles) => (await chosen()).download(tiles) },
  { icon: "trash", label: () => "Move to the trash", work: async (tiles) => (await chosen()).trash(tiles, gallery) },
];

/**
 * Let keys do the same with the pictures that are meant.
 * @param {Gallery} gallery
 */
export function pictureKeys(gallery) {
  shortcuts({
    l: async () => gallery.meant.length && (await chosen()).like(gallery.meant, !liked(gallery.meant), gallery),
    Delete: async () => gallery.meant.length && (await chosen()).trash(gallery.meant, gallery),
    Escape: () => gallery.bulk.clear(),
  });
}
