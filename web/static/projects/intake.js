// Pictures that come into a project: files, folders whose names are labels, ZIP files, pictures of the studio's.
import { fetchJson, leaveNote, newKey, Problem } from "../js/core/api.js";
import { elementOf, goTo, takeChosen, takeDrops } from "../js/core/page.js";
import { countOf, showError, showToast, t } from "../js/core/text.js";

// Files from folders that are dropped or chosen: the folder that holds a file is its label. Pure but for reading names.

/** @typedef {{file: File, label: string}} Labelled  label: "" = none of its own */

/** Folders that are only places, as in ZIP files. */
const PLACES = ["images", "image", "pictures", "train", "test", "val", "valid", "validation", "data", "dataset", ""];
const PICTURE = /\.(png|jpe?g|webp)$/i;

/**
 * The label that a path gives, such as "scratch" of "boards/scratch/1.png".
 * @param {string} path
 */
export function labelOf(path) {
  const folder = path.split("/").at(-2)?.trim() ?? "";
  return PLACES.includes(folder.toLowerCase()) ? "" : folder.slice(0, 80);
}

/** @param {File} file */
export const isZip = (file) => /\.zip$/i.test(file.name) || file.type === "application/zip";

/** @param {File} file */
export const isPicture = (file) => file.type.startsWith("image/") || PICTURE.test(file.name);

/**
 * What a file field or a folder field holds.
 * @param {Iterable<File>} files
 * @returns {Labelled[]}
 */
export const chosenFiles = (files) => [...files].map((file) => ({ file, label: labelOf(file.webkitRelativePath) }));

/**
 * What was dropped, folders with all that is in them.
 * @param {DataTransfer} data
 * @returns {Promise<Labelled[]>}
 */
export async function droppedFiles(data) {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  if (!entries.length) return chosenFiles(data.files);
  return (await Promise.all(entries.map(walk))).flat();
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<Labelled[]>}
 */
async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    return [{ file, label: labelOf(entry.fullPath.slice(1)) }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {Labelled[]} */
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const one of some) found.push(...(await walk(one)));
  }
}

// Takes pictures for a project: dropped anywhere on the page, pasted, from files, a folder, or of one's own.

const AT_ONCE = 10; // files of a call
const BYTES = 12 * 2 ** 20; // of its files together, but for a larger one alone
const MOST = 50; // pictures of a try

/** @typedef {{sentence?: string, href?: string, new?: string[], known?: string[], more?: number, refused?: {name: string, why: string}[]}} Told */

export class Intake {
  /**
   * @param {HTMLFormElement} form
   * @param {string} name  the beginning of its parts' names
   * @param {string} path  where files go
   * @param {{sends: "each" | "all", zips: boolean}} how  in calls of a few files, or all of them in one
   */
  constructor(form, name, path, how) {
    this.form = form;
    this.path = path;
    this.how = how;
    this.state = elementOf(`${name}-state`, HTMLElement);
    takeDrops(form, (data) => {
      if (!data?.types.includes("Files")) return false;
      droppedFiles(data).then((files) => this.#take(files), showError);
      return true;
    });
    addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length) this.#take(chosenFiles(files));
    });
    this.#listen(`${name}-file`);
    this.#listen(`${name}-folder`);
    elementOf(`${name}-own`, HTMLButtonElement).addEventListener("click", async () => {
      const { pickPictures } = await import("../js/core/dialog.js");
      try {
        const names = (await pickPictures(false)).map(({ job, n }) => `${job}/${n}`);
        if (names.length) await this.#send([[]], names.join(" "));
      } catch (error) {
        showError(error);
      }
    });
    form.addEventListener("submit", (event) => event.preventDefault()); // files go as soon as they are chosen
  }

  /** @param {string} id */
  #listen(id) {
    const field = document.getElementById(id);
    if (!(field instanceof HTMLInputElement)) return;
    takeChosen(field, (files) => this.#take(chosenFiles(files)));
  }

  /** @param {Labelled[]} files */
  async #take(files) {
    const fit = files.filter(({ file }) => isPicture(file) || (this.how.zips && isZip(file)));
    if (!fit.length) return showToast(this.how.zips ? t("There is no picture and no ZIP file among these.") : t("There is no picture among these."), { bad: true });
    if (this.how.sends === "all" && fit.length > MOST) return showToast(t("A try takes up to {0} pictures; these are {1}.", MOST, fit.length), { bad: true });
    if (this.form.ariaBusy === "true") return showToast(t("Wait until the pictures before these are there."));
    await this.#send(this.how.sends === "all" ? [fit] : this.#calls(fit), "");
  }

  /**
   * Files in calls of a few, those of one label together.
   * @param {Labelled[]} files
   */
  #calls(files) {
    /** @type {Labelled[][]} */
    const calls = [];
    let size = 0;
    for (const one of [...files].sort((a, b) => a.label.localeCompare(b.label))) {
      const last = calls.at(-1);
      size += one.file.size;
      if (last && last[0]?.label === one.label && last.length < AT_ONCE && size <= BYTES && !isZip(one.file)) last.push(one);
      else {
        calls.push([one]);
        size = isZip(one.file) ? BYTES : one.file.size;
      }
    }
    return calls;
  }

  /**
   * @param {Labelled[][]} calls
   * @param {string} own  names of the studio's own pictures
   */
  async #send(calls, own) {
    this.form.ariaBusy = "true";
    const total = calls.flat().length;
    /** @type {Told[]} */
    const told = [];
    let done = 0;
    try {
      for (const files of calls) {
        this.#show(total ? t("Sending {0} of {1}", done, countOf(total, "picture")) : t("Adding"), total ? done / total : null);
        told.push(await this.#call(files, own));
        done += files.length;
      }
    } catch (error) {
      showError(error);
    }
    this.form.ariaBusy = "false";
    this.#show("", null);
    this.#finish(told);
  }

  /**
   * @param {Labelled[]} files
   * @param {string} own
   * @returns {Promise<Told>}
   */
  async #call(files, own) {
    const body = new FormData(this.form);
    for (const name of ["files", ""]) body.delete(name);
    if (files[0]?.label) body.set("label", files[0].label);
    for (const { file } of files) body.append("files", file, file.name);
    if (own) body.set("pictures", own);
    body.set("key", newKey());
    for (;;) {
      try {
        return /** @type {Told} */ (await fetchJson(this.path, { method: "POST", body }));
      } catch (error) {
        const wait = error instanceof Problem && error.status === 429 ? Number(error.body.retry_after) : NaN;
        if (!(wait > 0)) throw error;
        await new Promise((done) => setTimeout(done, wait * 1000)); // too fast: the studio says for how long
      }
    }
  }

  /** @param {Told[]} told */
  #finish(told) {
    if (told[0]?.href) return goTo(told[0].href);
    const all = told.flatMap((one) => one.new ?? []).length;
    const known = told.flatMap((one) => one.known ?? []).length;
    const refused = told.flatMap((one) => one.refused ?? []);
    const more = told.reduce((sum, one) => sum + (one.more ?? 0), 0) + refused.length;
    if (!told.length) return;
    const why = refused.slice(0, 3).map((one) => `${one.name} ${one.why.replace(/\.$/, "")}`);
    const sentence = [t("{0} taken", all), ...(known ? [t("{0} here already", known)] : []), ...(more ? [t("{0} refused: {1}", more, why.join("; "))] : [])].join(", ");
    if (!all && !known) return showToast(`${sentence}.`, { bad: true });
    leaveNote("said", `${sentence}.`);
    location.reload();
  }

  /**
   * @param {string} text
   * @param {number | null} share
   */
  #show(text, share) {
    const words = Object.assign(document.createElement("p"), { textContent: text });
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", t("Sending"));
    if (share !== null) bar.value = share;
    this.state.replaceChildren(...(text ? [words, bar] : []));
  }
}
