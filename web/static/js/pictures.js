// The pages of pictures in one long grid: one's own, a folder, the trash, and what channels that the reader can read have made.
import { deletePictures, emptyTrash, pictureName, putInFolder, readShown, restorePictures, takeOutOfFolder } from "./core/api.js";
import { Announcer, offerShare, tellAway } from "./core/jobs.js";
import { addShortcuts, askBefore, elementOf, emptyState, pageData, startPage } from "./core/page.js";
import { countOf, html, showError, showToast, t } from "./core/text.js";
import { Gallery, joinSearchFields } from "./gallery/gallery.js";
import { pageQuery } from "./gallery/source.js";
import { Bar } from "./parts/bar.js";

/** @import {Folder} from "./core/api.js" */
/** @import {Tool} from "./gallery/gallery.js" */
/** @import {Filters} from "./gallery/source.js" */
/** @import {Day, Tile} from "./types.js" */

/** @typedef {{pictures: Tile[], days: Day[] | null, filters: Filters, newer: string | null, older: string | null, note?: string}} Data */

const LOOK_EVERY = 20_000; // ms: nobody tells what others make
const chosen = () => import("./parts/chosen.js");
const questions = () => import("./core/dialog.js");

/** @param {Tile[]} tiles */
const liked = (tiles) => tiles.every(({ favourite }) => favourite);

/** @param {Gallery} gallery @returns {Tool[]} */
const lookTools = (gallery) => [
  { icon: "heart", label: (tiles) => (liked(tiles) ? t("Remove from favourites") : t("Favourite")), look: (tiles) => (liked(tiles) ? "liked" : ""), work: async (tiles) => (await chosen()).likeTiles(tiles, !liked(tiles), gallery) },
  { icon: "similar", fits: ({ length }) => length === 1, label: () => t("More like this"), work: ([tile]) => tile && location.assign(`/pictures?q=like:${pictureName(tile)}`) },
];

/**
 * The tools for chosen pictures.
 * @param {Gallery} gallery
 * @returns {Tool[]}
 */
const pictureTools = (gallery) => [
  ...lookTools(gallery),
  { icon: "folder-add", label: () => t("Add to a folder"), work: async (tiles) => (await chosen()).chooseFolder(tiles) },
  { icon: "download", label: () => t("Download"), work: async (tiles) => (await chosen()).downloadTiles(tiles) },
  { icon: "trash", label: () => t("Move to the trash"), work: async (tiles) => (await chosen()).trashTiles(tiles, gallery) },
];

/**
 * Let keys do the same with the pictures that are meant.
 * @param {Gallery} gallery
 */
const listenForLooks = (gallery) =>
  addShortcuts({
    l: async () => gallery.meant.length && (await chosen()).likeTiles(gallery.meant, !liked(gallery.meant), gallery),
    Escape: () => gallery.bulk.clear(),
  });

/** @param {Gallery} gallery */
function listenForPictures(gallery) {
  listenForLooks(gallery);
  addShortcuts({
    Delete: async () => gallery.meant.length && (await chosen()).trashTiles(gallery.meant, gallery),
  });
}

/**
 * Offer to keep what a gallery looks for as a smart folder, while there is something to keep. Returns what to call
 * when the filters change.
 * @param {HTMLElement} button
 * @param {Filters} filters
 */
function offerSmartFolder(button, filters) {
  let query = "";
  const filtered = (/** @type {Filters} */ now) => {
    query = pageQuery(now).toString();
    button.hidden = !query;
  };
  button.addEventListener("click", () => chosen().then(({ saveSearch }) => saveSearch(query)).catch(showError));
  filtered(filters);
  return filtered;
}

/** The prompt bar of a page without a stream, whose pictures keep the focus. @param {Announcer} announcer */
function announcingBar(announcer) {
  const bar = new Bar(null, (jobs) => announcer.added(jobs));
  if (location.hash !== "#prompt") bar.field.blur();
}

/** "More" closes by Escape, and by a press beside it. */
function closeMore() {
  const more = elementOf("more-filters", HTMLDetailsElement);
  more.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !more.open) return;
    event.preventDefault();
    more.open = false;
    more.querySelector("summary")?.focus();
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && (more.open = false));
  document.addEventListener("pointerdown", ({ target }) => target instanceof Node && !more.contains(target) && (more.open = false));
}

function startPictures() {
  const data = /** @type {Data} */ (pageData());
  const empty = (/** @type {Filters} */ { q, kind, favourite, month }) =>
    q || kind || favourite || month
      ? emptyState("search", t("No picture fits"), t("Try fewer words or another filter."), html`<a class="button quiet" href="/pictures">Show all pictures</a>`)
      : emptyState("pictures", t("No pictures yet"), t("What you make here and in Discord is kept here."), html`<a class="button" href="/">Make the first one</a>`);
  const announcer = new Announcer();
  announcingBar(announcer);
  data.filters.q = joinSearchFields();
  closeMore();
  const filtered = offerSmartFolder(elementOf("save", HTMLElement), data.filters);
  const gallery = new Gallery(data, announcer, { fixed: {}, tools: pictureTools, empty, filtered });
  listenForPictures(gallery);
  tellAway(() => gallery.renew());
}

function startExplore() {
  const data = /** @type {Data & {about: string}} */ (pageData());
  const announcer = new Announcer();
  announcingBar(announcer);
  const nothing = document.querySelector("#gallery .empty");
  const empty = (/** @type {Filters} */ { q, kind, server }) =>
    q || kind || server
      ? emptyState("search", t("No picture fits"), t("Try fewer words or another filter."), html`<a class="button quiet" href="/explore">Show all</a>`)
      : html`${nothing}`;
  const gallery = new Gallery({ ...data, days: null }, announcer, { fixed: {}, read: readShown, tools: lookTools, empty });
  listenForLooks(gallery);
  const look = async () => { // show what is new, to somebody who is at the top
    if (!document.hidden && scrollY < innerHeight / 2) await gallery.look([]);
  };
  setInterval(() => look().catch(() => {}), LOOK_EVERY); // a failed look is tried again
}

function startFolder() {
  const data = /** @type {Data & {folder: Folder}} */ (pageData());
  const { folder } = data;
  const empty = (/** @type {Filters} */ { q, kind, favourite }) => {
    const all = html`<a class="button quiet" href=${folder.href}>Show all pictures</a>`;
    if (folder.query === null && (q || kind || favourite)) return emptyState("search", t("No picture fits"), t("Try fewer words or another filter."), all);
    if (folder.query !== null) return emptyState("folder", t("Nothing fits yet"), t("New pictures that match appear here automatically."));
    return emptyState("folder", t("This folder is empty"), t("Select pictures and choose “Add to a folder”."), html`<a class="button" href="/pictures">Pictures</a>`);
  };
  const takeOut = async (/** @type {Tile[]} */ tiles) => {
    const names = tiles.map(pictureName);
    const back = () => putInFolder(folder.id, names).then(() => gallery.renew(), showError);
    try {
      await takeOutOfFolder(folder.id, names);
      gallery.forget(tiles);
      showToast(t("{0} removed from {1}", countOf(tiles.length, "picture"), folder.name), { press: { label: t("Undo"), work: back } });
    } catch (error) {
      showError(error);
    }
  };
  if (document.getElementById("more-filters")) {
    data.filters.q = joinSearchFields();
    closeMore();
  }
  const gallery = new Gallery(data, new Announcer(), {
    fixed: { folder: folder.id },
    empty,
    tools: (gallery) => [...pictureTools(gallery), ...(folder.query === null ? [{ icon: "folder-out", label: () => t("Remove from this folder"), work: takeOut }] : [])],
  });
  askBefore(elementOf("delete", HTMLFormElement), t("Delete {0}?", folder.name), t("The folder is deleted; its pictures are kept."), "Delete");
  listenForPictures(gallery);
  offerShare();
  tellAway(() => gallery.renew());
}

function startTrash() {
  const { kept, ...data } = /** @type {Data & {kept: number}} */ (pageData());
  const clear = elementOf("empty", HTMLFormElement);
  const restore = async (/** @type {Tile[]} */ tiles) => {
    try {
      await restorePictures(tiles.map(pictureName));
      gallery.forget(tiles);
      showToast(`${countOf(tiles.length, "picture")} restored`);
    } catch (error) {
      showError(error);
    }
  };
  const destroy = async (/** @type {Tile[]} */ tiles) => {
    const what = countOf(tiles.length, "picture");
    const { askConfirmed } = await questions();
    if (!(await askConfirmed(t("Delete {0} for good?", what), t("This can't be undone."), "Delete", { bad: true }))) return;
    try {
      await deletePictures(tiles.map(pictureName));
      gallery.forget(tiles);
      showToast(`${what} deleted`);
    } catch (error) {
      showError(error);
    }
  };
  const empty = () => {
    clear.hidden = true;
    const text = t("What you move here is hidden everywhere on these pages, and deleted for good after {0}.", countOf(kept, "day"));
    return emptyState("trash", t("The trash is empty"), text, html`<a class="button quiet" href="/pictures">Pictures</a>`);
  };
  const gallery = new Gallery({ ...data, filters: {} }, new Announcer(), {
    fixed: { trash: true },
    empty,
    tools: () => [
      { icon: "restore", label: () => t("Restore"), work: restore },
      { icon: "trash", label: () => t("Delete for good"), look: () => "bad", work: destroy },
    ],
  });
  clear.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { askConfirmed } = await questions();
    if (!(await askConfirmed(t("Empty the trash?"), t("All pictures in it are deleted for good. This can't be undone."), t("Empty it"), { bad: true }))) return;
    try {
      showToast(`${countOf(await emptyTrash(), "picture")} deleted`);
      await gallery.renew();
    } catch (error) {
      showError(error);
    }
  });
  addShortcuts({ Delete: () => gallery.meant.length && destroy(gallery.meant), Escape: () => gallery.bulk.clear() });
}

startPage({ pictures: startPictures, explore: startExplore, "organise/folder": startFolder, "organise/trash": startTrash });
