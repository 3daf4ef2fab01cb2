// Makes a link from the form in the page, shows it and lets it be copied.
import { html } from "../../vendor/lit-html/lit-html.js";
import { complain } from "../core/text.js";
import { copyText } from "../core/jobs.js";
import { question } from "../parts/dialog.js";
import { makeShare } from "../core/api.js";

/** @param {HTMLFormElement} form */
export async function shareByForm(form) {
  const data = new FormData(form);
  const text = (/** @type {string} */ name) => String(data.get(name) ?? "");
  const n = Number(text("n"));
  const what = data.has("folder") ? { folder: text("folder") } : { job: text("job"), ...(n ? { n } : {}) };
  try {
    const made = await makeShare({ ...what, title: text("title"), words: data.has("words"), days: Number(text("days")) });
    const sheet = form.closest("[popover]");
    if (sheet instanceof HTMLElement) sheet.hidePopover();
    await show(made.link);
  } catch (error) {
    complain(error);
  }
}

/** @param {string} link */
async function show(link) {
  const local = new URL(link).hostname === "127.0.0.1";
  const note = local ? "Only this machine can open it: the studio has no address that others know." : "It is shown only now. Take it back under Shares at any time.";
  const field = html`<label class="stacked"><span>Link</span><input type="text" readonly .value=${link} @focus=${(/** @type {Event} */ event) => /** @type {HTMLInputElement} */ (event.target).select()}></label>
    <p class="muted">${note}</p>`;
  if (await question("Your link", field, { label: "Copy" })) await copyText(link, "Link");
}
