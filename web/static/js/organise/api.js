// Asks the server about pictures that are named one by one.
import { ask, change } from "../core/api.js";

/** @typedef {{job: string, n: number}} Named */
/** @typedef {{id: string, name: string, href: string, query: string | null, pictures: number | null, links: number}} Folder  links: how many show it */

const AT_ONCE = 2000; // pictures that one call names

/** @param {Named} picture */
export const nameOf = ({ job, n }) => `${job}/${n}`;

/**
 * Send all names to a path, so many at a time as it takes. Returns how many it counted.
 * @param {string} path
 * @param {string[]} names
 */
async function each(path, names) {
  let count = 0;
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const told = /** @type {{count?: number}} */ (await change("POST", path, { pictures: names.slice(at, at + AT_ONCE) }));
    count += told.count ?? 0;
  }
  return count;
}

/** @param {string[]} names */
export const toTrash = (names) => each("/api/trash", names);

/** @param {string[]} names */
export const fromTrash = (names) => each("/api/trash/restore", names);

/** @param {string[]} names */
export const deleteForGood = (names) => each("/api/trash/delete", names);

export const emptyTrash = async () => /** @type {{count: number}} */ (await change("DELETE", "/api/trash")).count;

export const readFolders = async () => /** @type {{folders: Folder[]}} */ (await ask("/api/folders", {})).folders;

/**
 * @param {string} name
 * @param {string} [query]  the filters of a smart one
 */
export const makeFolder = async (name, query) => /** @type {Folder} */ (await change("POST", "/api/folders", { name, ...(query === undefined ? {} : { query }) }));

/**
 * @param {string} folder
 * @param {string[]} names
 */
export const intoFolder = (folder, names) => each(`/api/folders/${folder}/items`, names);

/**
 * @param {string} folder
 * @param {string[]} names
 */
export const outOfFolder = (folder, names) => each(`/api/folders/${folder}/items/remove`, names);

/** @param {{job?: string, n?: number, folder?: string, title: string, words: boolean, days: number}} what */
export const share = async (what) => /** @type {{id: string, link: string}} */ (await change("POST", "/api/shares", what));
