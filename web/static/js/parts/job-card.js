// A job as an article: its pictures, its prompt, how far it is, what can be done with it.
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { icon } from "../core/page.js";
import { ago, capital, duration, plain, splitPrompt } from "../core/text.js";
import { drawsPictures, pictureCells, waitingCells } from "./cells.js";
import { reading } from "./reading.js";
import { stepOf } from "../core/jobs.js";

/** @import {LiveJob} from "../core/jobs.js" */
/** @import {Tools} from "./cells.js" */
/** @import {Action} from "../types.js" */

const OWN = ["cancel", "delete"]; // shown in places of their own

/**
 * What a card calls. `use`: put a prompt into the bar; `flag`: add one flag to what is there.
 * @typedef {Tools & {act: (job: LiveJob, action: Action) => void, stop: (job: LiveJob) => void, remove: (job: LiveJob) => void, use: (prompt: string) => void, flag: (flag: string) => void}} CardTools
 */

/**
 * @param {LiveJob} job
 * @param {CardTools} tools
 */
export function jobCard(job, tools) {
  const waits = !job.over && !job.pictures.length && drawsPictures(job);
  const wordless = !job.pictures.length && !waits;
  return html`<article class="job ${wordless ? "wordless" : ""}" id="job-${job.id}" aria-label=${job.prompt || capital(job.kind)} aria-busy=${!job.over}>
    ${job.pictures.length ? pictureCells(job, tools) : waits ? waitingCells(job) : nothing}
    <div class="job-words">${words(job, tools)} ${reading(job, tools)} ${told(job, tools)}</div>
    <div class="job-foot">
      ${job.notes.map((note) => html`<p class="muted small">${plain(note)}</p>`)}
      ${job.over ? meta(job, tools) : nothing} ${actions(job, tools)}
    </div>
  </article>`;
}

/**
 * @param {LiveJob} job
 * @param {CardTools} tools
 */
function words(job, tools) {
  if (job.talk) return html`<p class="prompt"><span class="kind">Ask</span> ${job.question}</p>${job.answer ? html`<p class="answered">${job.answer}</p>` : nothing}`;
  const { words, flags } = splitPrompt(job.prompt);
  return html`<p class="prompt" title=${words.length > 160 ? words : ""}>${job.kind === "imagine" ? nothing : html`<span class="kind">${capital(job.kind)}</span> `}${words}</p>
    ${flags.length
      ? html`<p class="chips">${flags.map((flag) => html`<button class="chip" type="button" title="Add --${flag} to the prompt" @click=${() => tools.flag(flag)}>${flag}</button>`)}</p>`
      : nothing}`;
}

/**
 * @param {LiveJob} job
 * @param {CardTools} tools
 */
function told(job, tools) {
  if (job.error) return html`<div class="trouble">${icon("alert")}<p>${plain(job.error)}</p></div>`;
  if (job.status === "cancelled") return html`<p class="muted">Stopped before it was done.</p>`;
  return job.over ? nothing : html`<div class="status">${progress(job)}</div>`;
}

/** @param {LiveJob} job */
function progress(job) {
  if (job.status === "queued") return html`<p>${waiting(job)}</p>`;
  const [text, share] = stepOf(job);
  return html`<p>${text}</p>
    ${share === null ? html`<progress aria-label="Progress"></progress>` : html`<progress aria-label="Progress" max="1" .value=${share}></progress>`}`;
}

/** @param {LiveJob} job */
export function waiting(job) {
  if (job.paused) return "The studio restarts; this goes on by itself";
  if (job.held) return "On hold: the queue is paused";
  const eta = job.eta ? `, about ${duration(job.eta)}` : "";
  return job.position ? `Place ${job.position} in the queue${eta}` : `Waiting${eta}`;
}

/**
 * @param {LiveJob} job
 * @param {CardTools} tools
 */
function meta(job, tools) {
  return html`<div class="meta">
    <time datetime=${job.created}>${ago(job.created)}</time>
    ${job.surface === "discord" ? html`<span>from Discord</span>` : nothing}
    ${job.parent ? html`<a href="/pictures/${job.parent.job}/${job.parent.n}">from another picture</a>` : nothing}
    ${job.private ? html`<span>${icon("lock")}only you</span>` : nothing}
    <button class="icon-button" type="button" title=${job.pictures.length ? "Move to the trash" : "Delete"} aria-label=${job.pictures.length ? "Move to the trash" : "Delete"} @click=${() => tools.remove(job)}>${icon("trash")}</button>
  </div>`;
}

/**
 * @param {LiveJob} job
 * @param {CardTools} tools
 */
function actions(job, tools) {
  const [at, label] = job.talk ? [job.talk, "conversation"] : [job.project, "project"];
  const talk = at ? html`<a class="button quiet small" href=${at}>Open the ${label}</a>` : nothing;
  if (!job.over) return html`<div class="job-actions">${talk} ${button("Cancel", () => tools.stop(job))}</div>`;
  return html`<div class="job-actions">
    ${talk}
    ${job.actions.filter(({ action }) => !OWN.includes(action)).map((action) => button(action.label, () => tools.act(job, action)))}
    ${job.prompt ? button(job.error ? "Change the prompt" : "Use prompt", () => tools.use(job.prompt)) : nothing}
  </div>`;
}

/**
 * @param {string} label
 * @param {() => void} work
 */
const button = (label, work) => html`<button class="button quiet small" type="button" @click=${work}>${label}</button>`;
