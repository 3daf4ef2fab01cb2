// Asks about folders: which one pictures go into, and what a smart one is called.
import { html } from "../../vendor/lit-html/lit-html.js";
import { makeFolder, pictureName, putInFolder, readFolders } from "../core/api.js";
import { complain, counted, toast } from "../core/text.js";
import { question } from "../parts/dialog.js";

/** @import {Folder, Named} from "../core/api.js" */

/** @param {Named[]} pictures */
export async function chooseFolder(pictures) {
  try {
    const folder = await chosen((await readFolders()).filter(({ query }) => query === null));
    if (!folder) return;
    const count = await putInFolder(folder.id, pictures.map(pictureName));
    const known = count < pictures.length ? `, ${counted(pictures.length - count, "picture")} already there` : "";
    toast(`${counted(count, "picture")} added to ${folder.name}${known}`, { link: { href: folder.href, label: "Open" } });
  } catch (error) {
    complain(error);
  }
}

/**
 * @param {Folder[]} folders
 * @returns {Promise<Folder | undefined>}
 */
async function chosen(folders) {
  const answer = await question("Add to a folder", choices(folders), { label: "Add" });
  const name = String(answer?.get("name") ?? "").trim();
  const id = String(answer?.get("folder") ?? "");
  if (!answer) return undefined;
  if (name) return makeFolder(name);
  return folders.find((folder) => folder.id === id);
}

/** @param {Folder[]} folders */
const choices = (folders) => html`
  ${folders.length
    ? html`<fieldset class="choices"><legend class="sr">Folder</legend>
        ${folders.map(({ id, name, pictures, links }, index) => html`<label class="choice"><input type="radio" name="folder" value=${id} ?checked=${index === 0}><span>${name}</span><span class="muted small">${pictures ?? ""}${links ? " · shared by link" : ""}</span></label>`)}
      </fieldset>`
    : ""}
  <label class="stacked"><span>${folders.length ? "Or a new folder" : "New folder"}</span><input type="text" name="name" maxlength="80" ?required=${!folders.length} placeholder="Its name"></label>`;

/**
 * Keep what a gallery looks for.
 * @param {string} query
 */
export async function saveSearch(query) {
  const what = html`<p class="muted">It shows what you look for now, and whatever fits later.</p>
    <label class="stacked"><span>Name</span><input type="text" name="name" maxlength="80" required></label>`;
  const answer = await question("Save as a smart folder", what, { label: "Save" });
  if (!answer) return;
  const folder = await makeFolder(String(answer.get("name")), query);
  toast(`${folder.name} saved`, { link: { href: folder.href, label: "Open" } });
}
