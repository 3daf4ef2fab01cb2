// The page of a set of examples: pictures come into it from files or from one's own, and it is tried.
import { readJob, sendJson, sendOnce, untilAnswered } from "./core/api.js";
import { followNews } from "./core/jobs.js";
import { askBefore, elementOf, goTo, pageData, startPage, takeChosen } from "./core/page.js";
import { showError, showToast, t, timeAgo } from "./core/text.js";
import { Attachments } from "./parts/attachments.js";

/** @import {News} from "./types.js" */

const { set } = /** @type {{set: {id: string, name: string, href: string}}} */ (pageData());

/** A form that takes pictures: from files, dropped, pasted, or of one's own. */
class Taking {
  /**
   * @param {string} name  of the form, and the beginning of its parts' names
   * @param {boolean} one  it takes a single picture
   * @param {(form: FormData, pictures: string[]) => Promise<void>} send
   */
  constructor(name, one, send) {
    this.form = elementOf(name, HTMLFormElement);
    this.form.hidden = false;
    this.one = one;
    this.send = send;
    if (!document.getElementById(`${name}-pictures`)) return; // it can't be done yet, and says why
    this.attached = new Attachments(elementOf(`${name}-pictures`, HTMLElement));
    this.#listen(name);
  }

  /** @param {string} name */
  #listen(name) {
    takeChosen(elementOf(`${name}-file`, HTMLInputElement), (files) => this.#addFiles(files));
    this.form.addEventListener("dragover", (event) => event.preventDefault());
    this.form.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#addFiles([...(event.dataTransfer?.files ?? [])]);
    });
    this.form.addEventListener("paste", (event) => this.#addFiles([...(event.clipboardData?.files ?? [])]) && event.preventDefault());
    elementOf(`${name}-own`, HTMLButtonElement).addEventListener("click", async () => {
      const { pickPictures } = await import("./core/dialog.js");
      try {
        for (const { job, n } of await pickPictures(this.one)) this.#room().addOwn(job, n);
      } catch (error) {
        showError(error);
      }
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /**
   * Take files. Returns whether there was a picture among them.
   * @param {File[]} files
   */
  #addFiles(files) {
    const pictures = files.filter(({ type }) => type.startsWith("image/"));
    if (pictures.length) this.#room().addFiles(this.one ? pictures.slice(0, 1) : pictures);
    return pictures.length > 0;
  }

  /** The pictures, without the one before where there is room for a single one. */
  #room() {
    const attached = /** @type {Attachments} */ (this.attached);
    if (this.one) attached.clear();
    return attached;
  }

  async #submit() {
    const attached = /** @type {Attachments} */ (this.attached);
    if (this.form.ariaBusy === "true") return;
    if (!attached.all.length) return showToast(t("Choose a picture first: from a file, or one of yours."));
    this.form.ariaBusy = "true";
    try {
      await this.send(new FormData(this.form), await attached.ids());
      attached.clear();
    } catch (error) {
      showError(error);
    }
    this.form.ariaBusy = "false";
  }
}

/**
 * @param {FormData} form
 * @param {string[]} pictures
 */
async function add(form, pictures) {
  await sendJson("POST", "/api/examples", { set: set.id, label: String(form.get("label")), question: String(form.get("question") ?? ""), pictures });
  location.reload();
}

/**
 * @param {FormData} form
 * @param {string[]} pictures
 */
async function tryOn(form, [picture]) {
  const asked = { picture, question: String(form.get("question") ?? "") };
  const { href } = /** @type {{href: string}} */ (await sendOnce([set.id, asked], (key) => sendJson("POST", `/api/examples/${set.id}/try`, { ...asked, key })));
  goTo(href);
}

const open = [...document.querySelectorAll("[data-open]")].map((one) => /** @type {HTMLElement} */ (one).dataset.open ?? "");

/** Show what trying has found, unless somebody is about to send something else. */
async function tellFound() {
  const jobs = await untilAnswered(() => Promise.all(open.map(readJob)));
  if (!jobs.some(({ over }) => over)) return;
  const busy = [...document.querySelectorAll(".attached, dialog[open]")].length > 0;
  if (busy) showToast(t("A picture that you tried is done."), { press: { label: t("Show"), work: () => location.reload() } });
  else location.reload();
}

/** @param {News} news */
function take(news) {
  if (open.length && (!news.complete || news.changed.some((id) => open.includes(id)))) tellFound().catch(showError);
}

new Taking("try", true, tryOn);
new Taking("add", false, add);
for (const time of document.querySelectorAll("time")) time.textContent = timeAgo(time.dateTime);
askBefore(elementOf("delete", HTMLFormElement), t("Delete {0}?", set.name), t("The set and its examples are deleted. Your pictures are kept."), "Delete");
followNews(take);
startPage();
if (open.length) tellFound().catch(showError);
