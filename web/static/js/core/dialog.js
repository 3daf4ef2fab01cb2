// Questions in a <dialog>, loaded when they are asked: the browser keeps the focus inside, closes it on Escape and gives the focus back.
import { render } from "../../vendor/lit-html/lit-html.js";
import { fetchJson, makeShare, readPictures, sendJson } from "./api.js";
import { LOCALE, html, plainText, showError, showToast, t } from "./text.js";

/** @import {TemplateResult} from "../../vendor/lit-html/lit-html.js" */
/** @import {Named} from "./api.js" */
/** @import {Tile} from "../types.js" */

/**
 * Show a form and wait for its answer: the button's value and the form's data, or null when it was left.
 * @param {string} title
 * @param {TemplateResult} content
 * @param {{label: string, bad?: boolean, no?: string}} yes
 * @returns {Promise<FormData | null>}
 */
export function askForm(title, content, yes) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "question");
  document.body.append(dialog);
  render(
    html`<form method="dialog">
      <h2 id="question">${title}</h2>
      ${content}
      <div class="dialog-foot">
        <button class="button quiet" type="button" ?autofocus=${yes.bad} @click=${() => dialog.close("no")}>${yes.no ?? t("Cancel")}</button>
        <button class="button ${yes.bad ? "bad" : ""}" value="yes" ?autofocus=${!yes.bad}>${yes.label}</button>
      </div>
    </form>`,
    dialog,
  );
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const form = dialog.querySelector("form");
      resolve(dialog.returnValue === "yes" && form ? new FormData(form) : null);
      dialog.remove();
    });
  });
}

/**
 * @param {string} title
 * @param {string} text
 * @param {string} label  of the button that says yes
 * @param {{bad?: boolean, no?: string}} [look]
 * @returns {Promise<boolean>}
 */
export async function askConfirmed(title, text, label, look = {}) {
  return (await askForm(title, html`<p class="muted">${plainText(text)}</p>`, { label, ...look })) !== null;
}

/**
 * Ask for new words; null when the dialog was left.
 * @param {string} title
 * @param {string} words
 * @returns {Promise<string | null>}
 */
export async function askWords(title, words) {
  const answer = askForm(
    title,
    html`<label><span class="sr">Prompt</span><textarea name="words" required .value=${words} @keydown=${sendOnEnter}></textarea></label>`,
    { label: t("Send") },
  );
  const area = document.querySelector("dialog textarea");
  if (area instanceof HTMLTextAreaElement) area.select();
  return /** @type {string | null} */ ((await answer)?.get("words") ?? null);
}

/** @param {KeyboardEvent} event */
function sendOnEnter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  const form = /** @type {HTMLTextAreaElement} */ (event.currentTarget).form;
  form?.requestSubmit(form.querySelector("[value=yes]"));
}

/** @typedef {{id: string, name: string, channels: {id: string, name: string}[]}} Server */

/** Ask for a channel on Discord where one may write, and post a picture of one's own there. @param {string} job @param {number} n  from 1 */
export async function postPicture(job, n) {
  try {
    const { servers } = /** @type {{servers: Server[]}} */ (await fetchJson("/api/channels", {}));
    if (!servers.length) return showToast(t("There is no channel on Discord where both you and the bot can write."));
    const group = (/** @type {Server} */ { id, name, channels }) => html`<optgroup label=${name}>${channels.map((one) => html`<option value="${id}/${one.id}">#${one.name}</option>`)}</optgroup>`;
    const answer = await askForm(t("Post to a channel"), html`<label class="stacked"><span>Everyone in the channel sees the picture, its prompt and your name</span><select name="place" aria-label="Channel">${servers.map(group)}</select></label>`, { label: t("Post") });
    if (!answer) return;
    const [server, channel] = String(answer.get("place")).split("/");
    await sendJson("POST", "/api/posts", { job, n, server, channel });
    showToast(t("Posted"));
  } catch (error) {
    showError(error);
  }
}

const SHOWN = "60";

/**
 * Ask which of one's newest pictures are meant.
 * @param {boolean} one  a single picture is wanted
 * @returns {Promise<Named[]>} none when the dialog was left
 */
export async function pickPictures(one) {
  const { pictures } = await readPictures(new URLSearchParams({ limit: SHOWN }));
  const shown = pictures.filter(({ visibility }) => visibility === "show");
  const title = one ? t("Choose a picture") : t("Choose pictures");
  const answer = await askForm(title, shown.length ? pictureChoices(shown, one) : html`<p class="muted">You have no pictures here yet.</p>`, { label: t("Choose") });
  const names = answer ? answer.getAll("picture").map(String) : [];
  return names.map((name) => ({ job: name.split("/")[0] ?? "", n: Number(name.split("/")[1]) }));
}

/**
 * @param {Tile[]} tiles
 * @param {boolean} one
 */
const pictureChoices = (tiles, one) => html`<fieldset class="picks" tabindex="0"><legend class="sr">Your newest pictures</legend>
  ${tiles.map(({ job, n, small, alt }) => html`<label class="pick"><input type=${one ? "radio" : "checkbox"} name="picture" value="${job}/${n}"><img src=${small} alt=${alt} loading="lazy" width="256" height="256"></label>`)}
</fieldset>`;

/**
 * Whom a link shows what.
 * @param {boolean} isFolder
 * @param {boolean} withWords
 * @param {string} until  its last day
 */
function seenBy(isFolder, withWords, until) {
  if (isFolder && withWords) return t("Anyone with it can see the folder and its prompts until {0}. No sign-in needed.", until);
  if (isFolder) return t("Anyone with it can see the folder until {0}, without prompts. No sign-in needed.", until);
  if (withWords) return t("Anyone with it can see what you shared and its prompt until {0}. No sign-in needed.", until);
  return t("Anyone with it can see what you shared until {0}, without the prompt. No sign-in needed.", until);
}

/** Make a link from a form and show it. Returns it where it is to be copied. @param {HTMLFormElement} form */
export async function makeLink(form) {
  const data = new FormData(form);
  const text = (/** @type {string} */ name) => String(data.get(name) ?? "");
  const n = Number(text("n"));
  const what = data.has("folder") ? { folder: text("folder") } : { job: text("job"), ...(n ? { n } : {}) };
  try {
    const { link, expires } = await makeShare({ ...what, title: text("title"), words: data.has("words"), embed: data.has("embed"), days: Number(text("days")) });
    const sheet = form.closest("[popover]");
    if (sheet instanceof HTMLElement) sheet.hidePopover();
    const local = new URL(link).hostname === "127.0.0.1";
    const until = new Date(expires).toLocaleDateString(LOCALE, { day: "numeric", month: "long" });
    const who = local ? t("Only this machine can open it: the studio has no address that others know.") : seenBy(data.has("folder"), data.has("words"), until);
    const note = html`${who} Copy or revoke it under <a href="/shares">Shares</a>.`;
    const field = html`<label class="stacked"><span>Link</span><input type="text" readonly .value=${link} @focus=${(/** @type {Event} */ event) => /** @type {HTMLInputElement} */ (event.target).select()}></label>
      <p class="muted">${note}</p>`;
    return (await askForm(t("Your link"), field, { label: t("Copy"), no: t("Done") })) && link;
  } catch (error) {
    showError(error);
    return null;
  }
}
