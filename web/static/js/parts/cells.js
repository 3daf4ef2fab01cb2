// The boxes of a job's pictures: waiting, sharpening, there. Each has its shape from the start, so nothing moves.
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { icon, filmLength } from "../core/page.js";
import { shapeOf } from "../core/text.js";

/** @import {LiveJob} from "../core/jobs.js" */
/** @import {Picture} from "../types.js" */

/** What the tools of a picture call. */
/** @typedef {{favourite: (job: LiveJob, picture: Picture) => void, menu: (event: Event, job: LiveJob, picture: Picture) => void}} Tools */

/** @param {LiveJob} job */
const pictureCount = (job) => job.pictures.length || job.count;

/** @param {LiveJob} job */
export const drawsPictures = (job) => job.count > 0;

/**
 * @param {number} width
 * @param {number} height
 */
const sizer = (width, height) => html`<svg class="sizer" viewBox="0 0 ${width} ${height}" aria-hidden="true"></svg>`;

/**
 * The place of a picture on the sheet of previews: two side by side, from three on 2×2.
 * @param {LiveJob} job
 * @param {number} index  from 0
 */
function sheet(job, index) {
  if (!job.shown) return nothing;
  const count = pictureCount(job);
  const of = count === 1 ? "" : count === 2 ? "of-2" : "of-4";
  return html`<img class="previews ${of} ${count > 1 && index % 2 ? "right" : ""} ${index > 1 ? "low" : ""}" src=${job.shown} alt="">`;
}

/** @param {LiveJob} job */
export function waitingCells(job) {
  const [width, height] = job.width && job.height ? [job.width, job.height] : shapeOf(job.prompt);
  const count = pictureCount(job);
  return html`<div class="pictures ${job.status === "running" ? "busy" : ""}" data-count=${count}>
    ${Array.from({ length: count }, (_, index) => html`<div class="cell">${sizer(width, height)}${sheet(job, index)}</div>`)}
  </div>`;
}

/**
 * @param {LiveJob} job
 * @param {Tools} tools
 */
export function pictureCells(job, tools) {
  return html`<div class="pictures" data-count=${job.pictures.length}>
    ${job.pictures.map((picture, index) => (picture.visibility === "block" ? blocked(picture) : cell(job, picture, index, tools)))}
  </div>`;
}

/** @param {Picture} picture */
const blocked = (picture) => html`<div class="cell blocked">${sizer(picture.width, picture.height)}<span class="blocked-words">${icon("block")}<span>Hidden by a rule of this studio</span></span></div>`;

/**
 * @param {LiveJob} job
 * @param {Picture} picture
 * @param {number} index
 * @param {Tools} tools
 */
function cell(job, picture, index, tools) {
  const spoiler = picture.visibility === "spoiler";
  return html`<div class="cell ${spoiler ? "veiled" : ""}">
    ${sizer(picture.width, picture.height)}${sheet(job, index)}
    <a href=${picture.href}><img src=${picture.thumb} width=${picture.width} height=${picture.height} alt=${picture.alt}>${picture.film ? filmLength(picture.film.seconds) : nothing}</a>
    ${spoiler ? html`<label class="veil"><input type="checkbox" aria-label="Show picture ${picture.n}, which may be sensitive">${icon("hidden")}Sensitive. Show it</label>` : nothing}
    <div class="cell-tools">
      <button class="icon-button heart" type="button" aria-pressed=${picture.favourite} aria-label="Favourite, picture ${picture.n}" title="Favourite"
        @click=${() => tools.favourite(job, picture)}>${icon("heart")}</button>
      <button class="icon-button" type="button" aria-haspopup="menu" aria-expanded="false" aria-label="Actions for picture ${picture.n}" title="Actions"
        @click=${(/** @type {Event} */ event) => tools.menu(event, job, picture)}>${icon("more")}</button>
    </div>
  </div>`;
}
