// Files from folders that are dropped or chosen: the folder that holds a file is its label. Pure but for reading names.

/** @typedef {{file: File, label: string}} Labelled  label: "" = none of its own */

/** Folders that are only places, as in zip files. */
const PLACES = ["images", "image", "pictures", "train", "test", "val", "valid", "validation", "data", "dataset", ""];
const PICTURE = /\.(png|jpe?g|webp)$/i;

/**
 * The label that a path gives, such as "scratch" of "boards/scratch/1.png".
 * @param {string} path
 */
export function labelOf(path) {
  const folder = path.split("/").at(-2)?.trim() ?? "";
  return PLACES.includes(folder.toLowerCase()) ? "" : folder.slice(0, 80);
}

/** @param {File} file */
export const isZip = (file) => /\.zip$/i.test(file.name) || file.type === "application/zip";

/** @param {File} file */
export const isPicture = (file) => file.type.startsWith("image/") || PICTURE.test(file.name);

/**
 * What a file field or a folder field holds.
 * @param {Iterable<File>} files
 * @returns {Labelled[]}
 */
export const chosen = (files) => [...files].map((file) => ({ file, label: labelOf(file.webkitRelativePath) }));

/**
 * What was dropped, folders with all that is in them.
 * @param {DataTransfer} data
 * @returns {Promise<Labelled[]>}
 */
export async function dropped(data) {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  if (!entries.length) return chosen(data.files);
  return (await Promise.all(entries.map(walk))).flat();
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<Labelled[]>}
 */
async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    return [{ file, label: labelOf(entry.fullPath.slice(1)) }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {Labelled[]} */
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const one of some) found.push(...(await walk(one)));
  }
}
