// A job as an article: its pictures, its prompt, how far it is, what can be done with it.
import { nothing } from "../../vendor/lit-html/lit-html.js";
import { copyText, stepOf, waitingOf } from "../core/jobs.js";
import { videoLength, icon } from "../core/page.js";
import { html, plainText, shapeOf, splitPrompt, t, timeAgo } from "../core/text.js";

/** @import {LiveJob} from "../core/jobs.js" */
/** @import {Action, Picture} from "../types.js" */
/** @import {Drafts} from "./sheet.js" */

// The boxes of a job's pictures: waiting, sharpening, there. Each has its shape from the start, so nothing moves.

/** What the tools of a picture call. `sheet`: the drafts of sheets, which only a page that shows some loads. */
/** @typedef {{favourite: (job: LiveJob, picture: Picture) => void, menu: (event: Event, job: LiveJob, picture: Picture) => void, sheet?: Drafts}} Tools */

/** @param {LiveJob} job */
const pictureCount = (job) => job.pictures.length || job.count;

/**
 * @param {number} width
 * @param {number} height
 */
const sizer = (width, height) => html`<svg class="sizer" viewBox="0 0 ${width} ${height}" aria-hidden="true"></svg>`;

const STRIP_SIDE = 160; // px of a frame's width in a video's preview; of its height, where that is the longer side

/** Let the frames of a video's preview, which lie side by side, run as the video will. @param {Event} event */
export function playStrip({ target }) {
  const strip = /** @type {HTMLImageElement} */ (target);
  const { clientWidth = 1, clientHeight = 1 } = strip.parentElement ?? {};
  const { naturalWidth, naturalHeight } = strip;
  const frame = naturalHeight === STRIP_SIDE ? (naturalHeight * clientWidth) / clientHeight : STRIP_SIDE; // px
  strip.style.setProperty("--frames", String(Math.max(1, Math.round(naturalWidth / frame))));
}

/**
 * The place of a picture on the sheet of previews: two side by side, from three on 2×2, drafts in six columns.
 * @param {LiveJob} job
 * @param {number} index  of its number, from 0: a taste shows drafts in another order
 */
function previewSheet(job, index) {
  if (!job.shown) return nothing;
  if (job.group === "videos") return index ? nothing : html`<img class="previews film" src=${job.shown} alt="" @load=${playStrip}>`;
  if (job.sheet) return html`<img class="previews of-sheet" data-column=${index % 6} data-row=${Math.floor(index / 6)} src=${job.shown} alt="">`;
  const count = pictureCount(job);
  const of = count === 1 ? "" : count === 2 ? "of-2" : "of-4";
  return html`<img class="previews ${of} ${count > 1 && index % 2 ? "right" : ""} ${index > 1 ? "low" : ""}" src=${job.shown} alt="">`;
}

/** The boxes of a job's pictures, also while they are awaited. @param {LiveJob} job @param {Tools} tools */
export const cellsOf = (job, tools) => (job.pictures.length ? pictureCells(job, tools) : job.over || !job.count ? nothing : waitingCells(job));

/** @param {LiveJob} job */
function waitingCells(job) {
  const [width, height] = job.width && job.height ? [job.width, job.height] : shapeOf(job.prompt);
  const count = pictureCount(job);
  return html`<div class="pictures ${job.sheet ? "drafts" : ""} ${job.status === "running" ? "busy" : ""}" data-count=${count}>
    ${Array.from({ length: count }, (_, index) => html`<div class="cell">${sizer(width, height)}${previewSheet(job, index)}</div>`)}
  </div>`;
}

/**
 * @param {LiveJob} job
 * @param {Tools} tools
 */
function pictureCells(job, tools) {
  return html`<div class="pictures ${job.sheet ? "drafts" : ""}" data-count=${job.pictures.length}>
    ${job.pictures.map((picture) => (picture.visibility === "block" ? blockedCell(picture) : pictureCell(job, picture, tools)))}
  </div>`;
}

/** @param {Picture} picture */
const blockedCell = (picture) => html`<div class="cell blocked">${sizer(picture.width, picture.height)}<span class="blocked-words">${icon("block")}<span>Hidden by a rule of this studio</span></span></div>`;

/**
 * @param {LiveJob} job
 * @param {Picture} picture
 * @param {Tools} tools
 */
function pictureCell(job, picture, tools) {
  const spoiler = picture.visibility === "spoiler";
  const sheet = job.sheet && job.picture_actions.some(({ action }) => action === "full") ? tools.sheet : undefined;
  const favourite = () => tools.favourite(job, picture);
  return html`<div class="cell ${spoiler ? "veiled" : ""} ${sheet?.marked(job).has(picture.n) ? "marked" : ""}">
    ${sizer(picture.width, picture.height)}${previewSheet(job, picture.n - 1)}
    ${sheet ? sheet.cell(job, picture, favourite) : pictureLink(picture)}
    ${spoiler ? html`<label class="veil"><input type="checkbox" aria-label="Show picture ${picture.n}, which may be sensitive">${icon("hidden")}Sensitive. Show it</label>` : nothing}
    <div class="cell-tools">
      ${sheet ? sheet.mark(job, picture) : nothing}
      <button class="icon-button heart" type="button" aria-pressed=${picture.favourite} aria-label="Favourite, picture ${picture.n}" title="Favourite"
        @click=${favourite}>${icon("heart")}</button>
      <button class="icon-button" type="button" aria-haspopup="menu" aria-expanded="false" aria-label="Actions for picture ${picture.n}" title="Actions"
        @click=${(/** @type {Event} */ event) => tools.menu(event, job, picture)}>${icon("more")}</button>
    </div>
  </div>`;
}

/** @param {Picture} picture */
const pictureLink = (picture) => html`<a href=${picture.href}><img src=${picture.thumb} width=${picture.width} height=${picture.height} alt=${picture.alt}>${picture.video ? videoLength(picture.video.seconds) : nothing}</a>`;

// What was read from a picture: captions of /describe, labels of /classify and why, the text of /read.

/**
 * @param {LiveJob} job
 * @param {{use: (prompt: string) => void, useWord?: string}} tools
 */
export function reading(job, tools) {
  if (!job.captions.length && !job.scores.length && !job.text) return nothing;
  return html`<div class="reading">
    ${job.captions.length
      ? html`<ol>${job.captions.map((caption) => html`<li><span>${caption}</span><button class="button quiet small" type="button" @click=${() => tools.use(caption)}>${tools.useWord ?? t("Use it")}</button></li>`)}</ol>`
      : nothing}
    ${job.scores.length
      ? html`<dl class="scores">${job.scores.map(([label, share]) => html`<div><dt>${label}</dt><dd><meter aria-label=${label} .value=${share}></meter></dd><dd>${Math.round(share * 100)} %</dd></div>`)}</dl>`
      : nothing}
    ${job.kind === "why" ? laidOver(job, t("The picture, bright where it speaks for the label")) : nothing}
    ${job.text ? textRead(job) : nothing}
  </div>`;
}

/** The picture with what was found laid over it. @param {LiveJob} job @param {string} alt */
const laidOver = ({ grid }, alt) =>
  grid && grid.visibility !== "block" ? html`<a class="read-picture" href=${grid.original}><img src=${grid.thumb} width=${grid.width} height=${grid.height} alt=${alt} loading="lazy"></a>` : nothing;

/** @param {LiveJob} job */
const textRead = (job) => html`${laidOver(job, t("The picture with a box around each line"))}
    <pre class="read-text" tabindex="0" aria-label="Text">${job.text}</pre>
    <div><button class="button quiet small" type="button" @click=${() => copyText(job.text, t("Text"))}>${icon("copy")}Copy the text</button></div>`;

const OWN = ["cancel", "delete"]; // shown in places of their own

/** A question with its answer, as far as that is there. @typedef {{id: string, question: string | null, answer: string | null}} Asked */

/**
 * What a card calls. `use`: put a prompt into the bar; `flag`: add one flag to what is there.
 * `rest`: the other jobs of its prompt while they are folded away, `unfold` shows them; `earlier`: the questions before it, where they are unfolded.
 * `talk`: let words change a picture of it.
 * `begun`: it was under way before somebody's eyes, so that its row keeps its height whatever becomes of it.
 * @typedef {Tools & {rest: (job: LiveJob) => LiveJob[], unfold: (job: LiveJob) => void, earlier: (job: LiveJob) => Asked[] | undefined, fresh: (job: LiveJob) => boolean, begun: (job: LiveJob) => boolean, act: (job: LiveJob, action: Action) => void, stop: (job: LiveJob) => void, remove: (job: LiveJob) => void, use: (prompt: string) => void, flag: (flag: string) => void, talk?: (job: LiveJob, picture?: Picture) => void}} CardTools
 */

/**
 * @param {LiveJob} job
 * @param {CardTools} tools
 */
export function jobCard(job, tools) {
  const waits = !job.pictures.length && job.count > 0 && (!job.over || tools.begun(job));
  const wordless = !job.pictures.length && !waits;
  const read = job.group === "answers" ? job.kind : "";
  return html`<article class="job ${wordless ? "wordless" : ""} ${read ? `read ${read}` : ""}" id="job-${job.id}" aria-label=${job.prompt || job.question || job.name} aria-busy=${!job.over}>
    ${job.pictures.length ? pictureCells(job, tools) : waits ? waitingCells(job) : read ? aboutPicture(job) : nothing}
    <div class="job-words">${promptWords(job, tools)} ${reading(job, tools)}</div>
    <div class="job-foot">
      ${stateTold(job)} ${job.notes.length ? html`<div class="notes" title=${plainText(job.notes.join("\n"))}>${job.notes.map((note) => html`<p>${plainText(note)}</p>`)}</div>` : nothing}
      ${job.over ? meta(job, tools) : nothing} ${actions(job, tools)}
    </div>
    ${restOfSet(job, tools)}
  </article>`;
}

const MOST_OF_SET = 12; // that are shown small

/** The other jobs of a prompt, small, in a line of one height. @param {LiveJob} job @param {CardTools} tools */
function restOfSet(job, tools) {
  const rest = tools.rest(job);
  if (!rest.length || job.talk) return nothing;
  const one = (/** @type {LiveJob} */ other) => html`<span class="set-one" title=${other.prompt}>${other.pictures[0] && other.pictures[0].visibility === "show" ? html`<img src=${other.pictures[0].small} alt="">` : other.shown ? html`<img class="previews of-4" src=${other.shown} alt="">` : nothing}</span>`;
  const left = rest.filter(({ over }) => !over).length;
  return html`<button class="set" type="button" @click=${() => tools.unfold(job)}>${rest.slice(0, MOST_OF_SET).map(one)}<span>${rest.length} more of this prompt${left ? t(", {0} to come", left) : ""}</span></button>`;
}

/** The questions before this one, when they are unfolded. @param {LiveJob} job @param {CardTools} tools */
function earlierTurns(job, tools) {
  const turns = tools.earlier(job);
  return turns ? html`<ol class="turns">${turns.map(({ id, question, answer }) => html`<li><p><a href="/talk/${id}">${question}</a></p><p class="muted">${answer ?? ""}</p></li>`)}</ol>` : nothing;
}

/**
 * @param {LiveJob} job
 * @param {CardTools} tools
 */
function promptWords(job, tools) {
  if (job.talk) return html`${earlierTurns(job, tools)}<p class="prompt"><span class="kind">Ask</span> ${job.question}</p>${job.answer ? html`<p class="answered">${job.answer}</p>` : nothing}`;
  const { words, flags } = splitPrompt(job.prompt);
  return html`<p class="prompt" title=${words.length > 160 ? words : ""}>${job.kind === "imagine" ? nothing : html`<span class="kind">${job.name}</span> `}${words || job.about || ""}</p>
    ${flags.length
      ? html`<p class="chips">${flags.map((flag) => html`<button class="chip" type="button" title="Add --${flag} to the prompt" @click=${() => tools.flag(flag)}>${job.struck?.includes(`--${flag}`) ? html`<s title="No effect here">${flag}</s>` : flag}</button>`)}</p>`
      : nothing}`;
}

/** How far a job is, or why it has nothing to show. @param {LiveJob} job */
export function stateTold(job) {
  if (job.error) return html`<div class="trouble">${icon("alert")}<p>${plainText(job.error)}</p></div>`;
  if (job.status === "cancelled") return html`<p class="muted">Stopped before it was done.</p>`;
  return job.over ? nothing : html`<div class="status">${progress(job)}</div>`;
}

/** The picture that a job was asked about, beside its answer. @param {LiveJob} job */
function aboutPicture({ parent, topic }) {
  const about = topic ? topic.picture : parent;
  return about ? html`<a class="about-picture" href="/pictures/${about.job}/${about.n}" aria-label="The picture that it is about"><img src="/files/${about.job}/${about.n}/256.webp" alt="" loading="lazy"></a>` : nothing;
}

/** @param {LiveJob} job */
function progress(job) {
  if (job.status === "queued") return html`<p>${waitingOf(job)}</p>`;
  const [text, share] = stepOf(job);
  return html`<p>${text}</p>
    ${share === null ? html`<progress aria-label="Progress"></progress>` : html`<progress aria-label="Progress" max="1" .value=${share}></progress>`}`;
}

/**
 * @param {LiveJob} job
 * @param {CardTools} tools
 */
function meta(job, tools) {
  return html`<div class="meta">
    ${tools.fresh(job) ? html`<span class="ready">Ready</span>` : nothing}
    <time datetime=${job.created}>${timeAgo(job.created)}</time>
    ${job.surface === "discord" ? html`<span>from Discord</span>` : nothing}
    ${job.parent && job.count ? html`<a href="/pictures/${job.parent.job}/${job.parent.n}">from another picture</a>` : nothing}
    ${job.private ? html`<span>${icon("lock")}only you</span>` : nothing}
    <button class="icon-button" type="button" title=${job.pictures.length ? t("Move to the trash") : "Delete"} aria-label=${job.pictures.length ? t("Move to the trash") : "Delete"} @click=${() => tools.remove(job)}>${icon("trash")}</button>
  </div>`;
}

/**
 * @param {LiveJob} job
 * @param {CardTools} tools
 */
function actions(job, tools) {
  const [at, label] = job.talk ? [job.talk, "conversation"] : [job.project, "project"];
  const earlier = job.follows || (job.talk && tools.rest(job).length) ? button(tools.earlier(job) ? t("Fold") : t("Earlier questions"), () => tools.unfold(job)) : nothing;
  const talk = at ? html`<a class="button quiet small" href=${at}>Open the ${label}</a>${earlier}` : nothing;
  if (!job.over) return html`<div class="job-actions">${talk} ${button(t("Cancel"), () => tools.stop(job))}</div>`;
  return html`<div class="job-actions">
    ${talk}
    ${job.sheet && tools.sheet ? tools.sheet.drawMarked(job) : nothing}
    ${job.actions.filter(({ action }) => !OWN.includes(action)).map((action) => button(action.label, () => tools.act(job, action)))}
    ${job.mine && job.pictures[0] && (job.pictures[0].video === null || job.parent) && tools.talk ? button(t("Talk"), () => tools.talk?.(job)) : nothing}
    ${job.prompt ? button(job.error ? t("Change the prompt") : t("Use prompt"), () => tools.use(job.prompt)) : nothing}
  </div>`;
}

/**
 * @param {string} label
 * @param {() => void} work
 */
const button = (label, work) => html`<button class="button quiet small" type="button" @click=${work}>${label}</button>`;
