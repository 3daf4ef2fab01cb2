// Questions in a <dialog>: the browser keeps the focus inside, closes it on Escape and gives the focus back.
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { plain } from "../core/text.js";

/** @import {TemplateResult} from "../../vendor/lit-html/lit-html.js" */

/**
 * Show a form and wait for its answer: the button's value and the form's data, or null when it was left.
 * @param {string} title
 * @param {TemplateResult} content
 * @param {{label: string, bad?: boolean, no?: string}} yes
 * @returns {Promise<FormData | null>}
 */
export function question(title, content, yes) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "question");
  document.body.append(dialog);
  render(
    html`<form method="dialog">
      <h2 id="question">${title}</h2>
      ${content}
      <div class="dialog-foot">
        <button class="button quiet" type="button" ?autofocus=${yes.bad} @click=${() => dialog.close("no")}>${yes.no ?? "Back"}</button>
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
export async function confirmed(title, text, label, look = {}) {
  return (await question(title, html`<p class="muted">${plain(text)}</p>`, { label, ...look })) !== null;
}

/**
 * Ask for new words; null when the dialog was left.
 * @param {string} title
 * @param {string} words
 * @returns {Promise<string | null>}
 */
export async function askWords(title, words) {
  const answer = question(
    title,
    html`<label><span class="sr">Prompt</span><textarea name="words" required .value=${words} @keydown=${sendOnEnter}></textarea></label>`,
    { label: "Send" },
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
