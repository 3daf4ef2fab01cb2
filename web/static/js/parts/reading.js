// What was read from a picture: captions of /describe, labels of /classify and why, the text of /read.
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { icon } from "../core/page.js";

/** @import {LiveJob} from "../core/jobs.js" */

const copy = (/** @type {string} */ text) => import("../core/jobs.js").then((actions) => actions.copyText(text, "Text")); // seldom pressed

/**
 * @param {LiveJob} job
 * @param {{use: (prompt: string) => void}} tools
 */
export function reading(job, tools) {
  if (!job.captions.length && !job.scores.length && !job.text) return nothing;
  return html`<div class="reading">
    ${job.captions.length
      ? html`<ol>${job.captions.map((caption) => html`<li><span>${caption}</span><button class="button quiet small" type="button" @click=${() => tools.use(caption)}>Use it</button></li>`)}</ol>`
      : nothing}
    ${job.scores.length
      ? html`<dl class="scores">${job.scores.map(([label, share]) => html`<div><dt>${label}</dt><dd><meter aria-label=${label} .value=${share}></meter></dd><dd>${Math.round(share * 100)} %</dd></div>`)}</dl>`
      : nothing}
    ${job.kind === "why" ? laid(job, "The picture, bright where it speaks for the label") : nothing}
    ${job.text ? text(job) : nothing}
  </div>`;
}

/** The picture with what was found laid over it. @param {LiveJob} job @param {string} alt */
const laid = ({ grid }, alt) =>
  grid && grid.visibility !== "block" ? html`<a class="read-picture" href=${grid.original}><img src=${grid.thumb} width=${grid.width} height=${grid.height} alt=${alt} loading="lazy"></a>` : nothing;

/** @param {LiveJob} job */
const text = (job) => html`${laid(job, "The picture with a box around each line")}
    <pre class="read-text" tabindex="0" aria-label="Text">${job.text}</pre>
    <div><button class="button quiet small" type="button" @click=${() => copy(job.text)}>${icon("copy")}Copy the text</button></div>`;
