// The list of changes behind a picture: one is taken out or worded anew, and the rest is made again; the list is made on other pictures.
import { nothing } from "../../vendor/lit-html/lit-html.js";
import { readFolders, sendJson, sendOnce } from "../core/api.js";
import { askConfirmed, askForm, askWords, pickPictures } from "../core/dialog.js";
import { icon } from "../core/page.js";
import { countOf, html, plainText, showError, showToast, t } from "../core/text.js";

/** @import {Change, Dialogue} from "../types.js" */

const MOST = 10; // pictures that a list is made on at once

/**
 * @param {{job: string, n: number}} picture
 * @param {Change[]} changes  its drawing first
 * @param {(told: Dialogue) => void} onTold  the rest is made again
 */
export function changesList(picture, changes, onTold) {
  if (changes.length < 2) return nothing;
  const without = async (/** @type {Change} */ { number }, words = "") => {
    const body = { picture: `${picture.job}/${picture.n}`, number, words };
    try {
      onTold(/** @type {Dialogue} */ (await sendOnce(["without", body], (key) => sendJson("POST", "/api/talk/without", { ...body, key }))));
    } catch (error) {
      showError(error);
    }
  };
  const takeOut = async (/** @type {Change} */ change) => {
    if (await askConfirmed(t("Take it out?"), t("Without “{0}”: {1}.", change.words, change.again), t("Take it out"))) await without(change);
  };
  const reword = async (/** @type {Change} */ change) => {
    const words = (await askWords(t("Other words for this change"), change.words))?.trim();
    if (words && words !== change.words) await without(change, words);
  };
  const one = (/** @type {Change} */ change) => html`<li><span>${change.words}</span>
    ${change.again ? html`<button class="icon-button" type="button" aria-label="Other words for: ${change.words}" title="Other words" @click=${() => reword(change)}>${icon("rename")}</button>
      <button class="icon-button" type="button" aria-label="Take out: ${change.words}" title="Take it out" @click=${() => takeOut(change)}>${icon("close")}</button>` : nothing}</li>`;
  return html`<h3>Changes</h3><ol class="changes">${changes.map(one)}</ol>
    <div class="job-actions"><button class="button quiet small" type="button" aria-haspopup="dialog" @click=${() => replay(picture)}>Replay on others …</button>
      <button class="button quiet small" type="button" aria-haspopup="dialog" @click=${() => replayOnFolder(picture)}>Replay on a folder …</button></div>`;
}

/** Make the changes on other pictures. @param {{job: string, n: number}} picture */
async function replay({ job, n }) {
  try {
    const others = await pickPictures(false);
    if (!others.length) return;
    if (others.length > MOST) return showToast(t("Choose up to {0} pictures.", MOST), { bad: true });
    const body = { picture: `${job}/${n}`, pictures: others.map((one) => `${one.job}/${one.n}`) };
    tellQueued(await sendReplay(body));
  } catch (error) {
    showError(error);
  }
}

/** Make the changes on all pictures of a folder, when it is said what that takes. @param {{job: string, n: number}} picture */
async function replayOnFolder({ job, n }) {
  try {
    const folders = await readFolders();
    if (!folders.length) return showToast(t("You have no folder yet. Make one under Organise."), { link: { href: "/folders", label: t("Open") } });
    const choices = html`<label class="stacked"><span>Folder</span><select name="folder" aria-label="Folder">${folders.map(({ id, name }) => html`<option value=${id}>${name}</option>`)}</select></label>`;
    const folder = (await askForm(t("Replay on a folder"), choices, { label: t("Choose") }))?.get("folder");
    if (!folder) return;
    const body = { picture: `${job}/${n}`, folder: String(folder) };
    const { asks } = await sendReplay(body);
    if (asks && (await askConfirmed(t("Replay on a folder"), asks, t("Queue them")))) tellQueued(await sendReplay({ ...body, confirmed: true }));
  } catch (error) {
    showError(error);
  }
}

/** @typedef {{jobs: unknown[], detail?: string, asks?: string}} Replayed */

/** @param {Record<string, unknown>} body @returns {Promise<Replayed>} */
const sendReplay = (body) => sendOnce(["replay", body], async (key) => /** @type {Replayed} */ (await sendJson("POST", "/api/talk/replay", { ...body, key })));

/** @param {Replayed} told */
function tellQueued({ jobs, detail }) {
  showToast(plainText(detail ?? `${countOf(jobs.length, "job")} queued`), { bad: Boolean(detail), link: { href: "/", label: t("Show") } });
}
