// The trash: what is in it, when it ends, and the ways out.
import { html } from "../../vendor/lit-html/lit-html.js";
import { deletePictures, emptyTrash, pictureName, restorePictures } from "../core/api.js";
import { Announcer } from "../core/jobs.js";
import { element, emptyState, pageData, shortcuts, startPage } from "../core/page.js";
import { complain, counted, toast } from "../core/text.js";
import { Gallery } from "../gallery/gallery.js";
import { confirmed } from "../parts/dialog.js";

/** @import {Tile} from "../types.js" */

const { pictures, newer, total, days } = /** @type {{pictures: Tile[], newer: string | null, total: number, days: number}} */ (pageData());
const clear = element("empty", HTMLFormElement);

/** @param {Tile[]} tiles */
async function restore(tiles) {
  try {
    await restorePictures(tiles.map(pictureName));
    gallery.forget(tiles);
    toast(`${counted(tiles.length, "picture")} restored`);
  } catch (error) {
    complain(error);
  }
}

/** @param {Tile[]} tiles */
async function destroy(tiles) {
  const what = counted(tiles.length, "picture");
  if (!(await confirmed(`Delete ${what} for good?`, "This can't be undone.", "Delete", { bad: true }))) return;
  try {
    await deletePictures(tiles.map(pictureName));
    gallery.forget(tiles);
    toast(`${what} deleted`);
  } catch (error) {
    complain(error);
  }
}

function empty() {
  clear.hidden = true;
  const text = `What you move here is hidden everywhere on these pages, and deleted for good after ${counted(days, "day")}.`;
  return emptyState("trash", "The trash is empty", text, html`<a class="button quiet" href="/pictures">Pictures</a>`);
}

const gallery = new Gallery({ pictures, months: [], filters: {}, newer }, new Announcer(), {
  fixed: { trash: true },
  counted: total,
  empty,
  tools: () => [
    { icon: "restore", label: () => "Restore", work: restore },
    { icon: "trash", label: () => "Delete for good", look: () => "bad", work: destroy },
  ],
});

clear.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!(await confirmed("Empty the trash?", "All pictures in it are deleted for good. This can't be undone.", "Empty it", { bad: true }))) return;
  try {
    toast(`${counted(await emptyTrash(), "picture")} deleted`);
    await gallery.renew();
  } catch (error) {
    complain(error);
  }
});
shortcuts({
  Delete: () => gallery.meant.length && destroy(gallery.meant),
  Escape: () => gallery.bulk.clear(),
});
startPage();
