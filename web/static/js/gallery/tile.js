// One cell of the gallery: the picture whole, a mark to choose it, a heart.
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { icon, filmLength } from "../core/page.js";
import { timeLeft } from "../core/text.js";

/** @import {Tile} from "../types.js" */

/**
 * @typedef {object} TileTools
 * @property {(event: MouseEvent, index: number) => void} press
 * @property {((event: MouseEvent, index: number) => void) | null} mark  null where nothing is chosen
 * @property {(index: number) => void} like
 */

/**
 * @param {Tile | undefined} tile  undefined = not read yet
 * @param {number} index
 * @param {{chosen: boolean, current: boolean, total: number | null}} state
 * @param {TileTools} tools
 */
export function tileCell(tile, index, { chosen, current, total }, tools) {
  const stop = current ? 0 : -1; // one stop for Tab, arrows do the rest
  if (!tile) return html`<li class="tile" data-index=${index} aria-posinset=${index + 1} aria-setsize=${total ?? -1}></li>`;
  const look = `tile ${chosen ? "chosen" : ""} ${tile.visibility === "spoiler" ? "veiled" : ""} ${tile.visibility === "block" ? "blocked" : ""}`;
  return html`<li class=${look} data-index=${index} aria-posinset=${index + 1} aria-setsize=${total ?? -1}>
    <a href=${tile.href} tabindex=${stop} aria-label=${tile.visibility === "block" ? "Hidden by a rule of this studio" : nothing}
      @click=${(/** @type {MouseEvent} */ event) => tools.press(event, index)}>${inside(tile)}</a>
    ${tile.visibility === "spoiler" ? html`<label class="veil"><input type="checkbox" tabindex=${stop} aria-label="Show this picture, which may be sensitive">${icon("hidden")}Show it</label>` : nothing}
    ${tools.mark ? html`<button class="mark" type="button" tabindex=${stop} role="checkbox" aria-checked=${chosen} aria-label="Select: ${tile.alt}" @click=${(/** @type {MouseEvent} */ event) => tools.mark?.(event, index)}>${icon("check")}</button>` : nothing}
    ${tile.ends
      ? html`<span class="ends length" title="Deleted for good">${timeLeft(tile.ends)}</span>`
      : html`<button class="like" type="button" tabindex=${stop} aria-pressed=${tile.favourite} aria-label="Favourite: ${tile.alt}" @click=${() => tools.like(index)}>${icon("heart")}</button>
          <button class="alike" type="button" tabindex=${stop} title="More like this" aria-label="More like: ${tile.alt}" @click=${() => location.assign(`/pictures?q=like:${tile.job}/${tile.n}`)}>${icon("similar")}</button>`}
  </li>`;
}

/** @param {Tile} tile */
function inside(tile) {
  if (tile.visibility === "block") return html`<span class="blocked-words">${icon("block")}<span>Hidden by a rule of this studio</span></span>`;
  return html`<img src=${tile.small} width=${tile.width} height=${tile.height} alt=${tile.alt} draggable="true">${tile.seconds ? filmLength(tile.seconds) : nothing}`;
}
