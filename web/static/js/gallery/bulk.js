// What can be done with all chosen pictures at once.
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { favour, remove } from "../core/api.js";
import { icon } from "../core/page.js";
import { counted } from "../core/text.js";
import { complain, toast } from "../core/toasts.js";

/** @import {Tile} from "../types.js" */
/** @import {Selection} from "./selection.js" */

const AT_ONCE = 4; // requests
const MOST_DOWNLOADS = 50;
const BETWEEN = 250; // ms between two downloads

export class Bulk {
  /**
   * @param {Selection} selection
   * @param {{changed: () => void, removed: (jobs: string[]) => void}} page
   */
  constructor(selection, page) {
    this.selection = selection;
    this.page = page;
    this.place = document.createElement("div");
    document.querySelector("main")?.append(this.place);
  }

  draw() {
    const tiles = [...this.selection.chosen.values()];
    if (!tiles.length) return render(html``, this.place);
    const liked = tiles.every(({ favourite }) => favourite);
    render(
      html`<div class="chosen-bar" role="toolbar" aria-label="Selected pictures">
        <p role="status">${tiles.length.toLocaleString("en")} selected</p>
        <button class="icon-button ${liked ? "liked" : ""}" type="button" title=${liked ? "Remove from favourites" : "Favourite"} aria-label=${liked ? "Remove from favourites" : "Favourite"} @click=${() => this.like(!liked)}>${icon("heart")}</button>
        <button class="icon-button" type="button" title="Download" aria-label="Download" @click=${() => this.#download(tiles)}>${icon("download")}</button>
        <button class="icon-button" type="button" title="Delete" aria-label="Delete" @click=${() => this.remove()}>${icon("trash")}</button>
        <button class="icon-button" type="button" title="Select none" aria-label="Select none" @click=${() => this.clear()}>${icon("close")}</button>
      </div>`,
      this.place,
    );
  }

  clear() {
    this.selection.clear();
    this.page.changed();
  }

  /** @param {boolean} on */
  async like(on) {
    const tiles = [...this.selection.chosen.values()].filter((tile) => tile.favourite !== on);
    const done = await each(tiles, async (tile) => {
      await favour(tile.job, tile.n, on);
      tile.favourite = on;
    });
    toast(on ? `${counted(done, "favourite")} added` : `${counted(done, "favourite")} taken back`);
    this.page.changed();
  }

  async remove() {
    const jobs = [...new Set([...this.selection.chosen.values()].map(({ job }) => job))];
    const { confirmed } = await import("../parts/dialog.js");
    const sure = await confirmed(`Delete ${counted(jobs.length, "job")}?`, "A job goes with all of its pictures, also with those that you haven't selected. This can't be undone.", "Delete", { bad: true });
    if (!sure) return;
    /** @type {string[]} */
    const gone = [];
    await each(jobs, async (job) => {
      await remove(job);
      gone.push(job);
    });
    this.selection.clear();
    this.page.removed(gone);
    toast(`${counted(gone.length, "job")} deleted`);
  }

  /** @param {Tile[]} tiles */
  async #download(tiles) {
    const some = tiles.filter(({ visibility }) => visibility !== "block").slice(0, MOST_DOWNLOADS);
    if (some.length < tiles.length) toast(`${MOST_DOWNLOADS} pictures at once; hidden ones stay here`);
    for (const { job, n } of some) {
      const link = Object.assign(document.createElement("a"), { href: `/files/${job}/${n}?download=1`, download: "" });
      link.click();
      await new Promise((resolve) => setTimeout(resolve, BETWEEN));
    }
  }
}

/**
 * Do the work for each, a few at once, until one fails. Returns how many were done.
 * @template T
 * @param {T[]} all
 * @param {(one: T) => Promise<void>} work
 */
async function each(all, work) {
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
    complain(error);
  }
  return done;
}
