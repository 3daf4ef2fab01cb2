// What can be done with all chosen pictures at once.
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { icon } from "../core/page.js";

/** @import {Tile} from "../types.js" */
/** @import {Selection} from "./selection.js" */

/**
 * @typedef {object} Tool
 * @property {(tiles: Tile[]) => string} label
 * @property {string} icon
 * @property {(tiles: Tile[]) => string} [look]
 * @property {(tiles: Tile[], button: HTMLElement) => void} work
 */

export class Bulk {
  /**
   * @param {Selection} selection
   * @param {() => void} changed
   * @param {Tool[]} tools
   */
  constructor(selection, changed, tools) {
    this.selection = selection;
    this.changed = changed;
    this.tools = tools;
    this.place = document.createElement("div");
    document.querySelector("main")?.append(this.place);
  }

  draw() {
    const tiles = [...this.selection.chosen.values()];
    if (!tiles.length) return render(html``, this.place);
    render(
      html`<div class="chosen-bar" role="toolbar" aria-label="Selected pictures">
        <p role="status">${tiles.length.toLocaleString("en")} selected</p>
        ${this.tools.map((tool) => this.#button(tool, tiles))}
        <button class="icon-button" type="button" title="Select none" aria-label="Select none" @click=${() => this.clear()}>${icon("close")}</button>
      </div>`,
      this.place,
    );
  }

  /**
   * @param {Tool} tool
   * @param {Tile[]} tiles
   */
  #button(tool, tiles) {
    const label = tool.label(tiles);
    const press = (/** @type {Event} */ event) => tool.work(tiles, /** @type {HTMLElement} */ (event.currentTarget));
    return html`<button class="icon-button ${tool.look?.(tiles) ?? ""}" type="button" title=${label} aria-label=${label} @click=${press}>${icon(tool.icon)}</button>`;
  }

  clear() {
    this.selection.clear();
    this.changed();
  }
}
