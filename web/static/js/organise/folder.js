// One folder: its pictures in the gallery's grid, and what can be done with them here.
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { pictureName, putInFolder, takeOutOfFolder } from "../core/api.js";
import { Announcer } from "../core/jobs.js";
import { element, emptyState, pageData, startPage } from "../core/page.js";
import { complain, counted, toast } from "../core/text.js";
import { Gallery } from "../gallery/gallery.js";
import { joinFields } from "../search/fields.js";
import { tellAway } from "./note.js";
import { offerShare } from "./share-offer.js";
import { pictureKeys, pictureTools } from "./tools.js";

/** @import {Folder} from "../core/api.js" */
/** @import {Filters} from "../gallery/source.js" */
/** @import {Tile} from "../types.js" */

const data = /** @type {{folder: Folder, pictures: Tile[], newer: string | null, filters: Filters}} */ (pageData());
const { folder } = data;

/** @param {Filters} filters */
function empty({ q, kind, favourite }) {
  const all = html`<a class="button quiet" href=${folder.href}>Show all pictures</a>`;
  if (folder.query === null && (q || kind || favourite)) return emptyState("search", "No picture fits", "Try fewer words or another filter.", all);
  if (folder.query !== null) return emptyState("folder", "Nothing fits yet", "Pictures show up here by themselves when they fit.", nothing);
  return emptyState("folder", "This folder is empty", "Select pictures and choose “Add to a folder”.", html`<a class="button" href="/pictures">Pictures</a>`);
}

/** @param {Tile[]} tiles */
async function takeOut(tiles) {
  const names = tiles.map(pictureName);
  const back = () => putInFolder(folder.id, names).then(() => gallery.renew(), complain);
  try {
    await takeOutOfFolder(folder.id, names);
    gallery.forget(tiles);
    toast(`${counted(tiles.length, "picture")} taken out of ${folder.name}`, { press: { label: "Undo", work: back } });
  } catch (error) {
    complain(error);
  }
}

if (document.getElementById("more-filters")) data.filters.q = joinFields();
const gallery = new Gallery({ ...data, months: [] }, new Announcer(), {
  fixed: { folder: folder.id },
  counted: folder.pictures,
  empty,
  tools: (gallery) => [
    ...pictureTools(gallery),
    ...(folder.query === null ? [{ icon: "folder-out", label: () => "Take out of this folder", work: takeOut }] : []),
  ],
});

element("delete", HTMLFormElement).addEventListener("submit", async (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  event.preventDefault();
  const { confirmed } = await import("../parts/dialog.js");
  if (await confirmed(`Delete ${folder.name}?`, "The folder goes, its pictures stay.", "Delete", { bad: true })) form.submit();
});
pictureKeys(gallery);
startPage();
offerShare();
tellAway(() => gallery.renew());
