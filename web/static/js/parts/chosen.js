// What is done with chosen pictures, loaded when it is done: keep, put into the trash or a folder, download.
import { makeFolder, pictureName, putInFolder, readFolders, setFavourite } from "../core/api.js";
import { askForm } from "../core/dialog.js";
import { trashPictures } from "../core/jobs.js";
import { LOCALE, countOf, html, showError, showToast, t } from "../core/text.js";

/** @import {Folder, Named} from "../core/api.js" */
/** @import {Gallery} from "../gallery/gallery.js" */
/** @import {Tile} from "../types.js" */

const AT_ONCE = 4; // requests
const MOST_IN_ZIP = 2000; // pictures

/**
 * @param {Tile[]} tiles
 * @param {Gallery} gallery
 */
export async function trashTiles(tiles, gallery) {
  await trashPictures(tiles, { gone: () => gallery.forget(tiles), back: () => gallery.renew() });
}

/**
 * @param {Tile[]} all
 * @param {boolean} on
 * @param {Gallery} gallery
 */
export async function likeTiles(all, on, gallery) {
  const tiles = all.filter((tile) => tile.favourite !== on);
  const done = await fewAtOnce(tiles, async (tile) => {
    await setFavourite(tile.job, tile.n, on);
    tile.favourite = on;
  });
  showToast(on ? `${countOf(done, "favourite")} added` : `${countOf(done, "favourite")} removed`);
  gallery.draw();
}

/**
 * One picture as it is, several as a ZIP file: sent by a form, so that the browser saves it while it comes.
 * @param {Tile[]} tiles
 */
export function downloadTiles(tiles) {
  const [first] = tiles;
  if (!first) return;
  if (tiles.length > MOST_IN_ZIP) return showToast(t("A ZIP file holds up to {0}; {1} are selected.", countOf(MOST_IN_ZIP, "picture"), tiles.length.toLocaleString(LOCALE)), { bad: true });
  const bytes = `/files/${pictureName(first)}${first.seconds === null ? "" : ".mp4"}?download=1`;
  if (tiles.length === 1) {
    const link = Object.assign(document.createElement("a"), { href: bytes, download: "", hidden: true });
    document.body.append(link); // where those hear of the click who save it otherwise
    link.click();
    return link.remove();
  }
  const form = Object.assign(document.createElement("form"), { method: "post", action: "/api/zip", target: "_blank", hidden: true }); // what is wrong with it is said there
  form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "pictures", value: tiles.map(pictureName).join(" ") }));
  document.body.append(form);
  form.requestSubmit();
  form.remove();
  if (!("inside" in document.body.dataset)) showToast(t("{0} as a ZIP file", countOf(tiles.length, "picture")));
}

/**
 * Do the work for each, a few at once, until one fails. Returns how many were done.
 * @template T
 * @param {T[]} all
 * @param {(one: T) => Promise<void>} work
 */
async function fewAtOnce(all, work) {
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
    showError(error);
  }
  return done;
}

/** @param {Named[]} pictures */
export async function chooseFolder(pictures) {
  try {
    const folder = await askFolder((await readFolders()).filter(({ query }) => query === null));
    if (!folder) return;
    const count = await putInFolder(folder.id, pictures.map(pictureName));
    const known = count < pictures.length ? t(", {0} already there", countOf(pictures.length - count, "picture")) : "";
    showToast(t("{0} added to {1}{2}", countOf(count, "picture"), folder.name, known), { link: { href: folder.href, label: t("Open") } });
  } catch (error) {
    showError(error);
  }
}

/**
 * @param {Folder[]} folders
 * @returns {Promise<Folder | undefined>}
 */
async function askFolder(folders) {
  const answer = await askForm(t("Add to a folder"), folderChoices(folders), { label: t("Add") });
  const name = String(answer?.get("name") ?? "").trim();
  const id = String(answer?.get("folder") ?? "");
  if (!answer) return undefined;
  if (name) return makeFolder(name);
  return folders.find((folder) => folder.id === id);
}

/** @param {Folder[]} folders */
const folderChoices = (folders) => html`
  ${folders.length
    ? html`<fieldset class="choices"><legend class="sr">Folder</legend>
        ${folders.map(({ id, name, pictures, links }, index) => html`<label class="choice"><input type="radio" name="folder" value=${id} ?checked=${index === 0}><span>${name}</span><span class="muted small">${pictures ?? ""}${links ? t(" · shared by link") : ""}</span></label>`)}
      </fieldset>`
    : ""}
  <label class="stacked"><span>${folders.length ? t("Or a new folder") : t("New folder")}</span><input type="text" name="name" maxlength="80" ?required=${!folders.length} placeholder="Its name"></label>`;

/**
 * Keep what a gallery looks for.
 * @param {string} query
 */
export async function saveSearch(query) {
  const what = html`<p class="muted">It shows what you look for now, and whatever fits later.</p>
    <label class="stacked"><span>Name</span><input type="text" name="name" maxlength="80" required></label>`;
  const answer = await askForm(t("Save as a smart folder"), what, { label: t("Save") });
  if (!answer) return;
  const folder = await makeFolder(String(answer.get("name")), query);
  showToast(`${folder.name} saved`, { link: { href: folder.href, label: t("Open") } });
}
