// What comes of a picture on its own page: pictures and videos in a strip beside it, answers in the panel, each from the press on.
import { nothing } from "../../vendor/lit-html/lit-html.js";
import { cancelJob, deleteJob, keepHere, keptHere, keepTrail, pressJob, Problem, readJob, sendJob, sendJson, sendOnce } from "../core/api.js";
import { Jobs, stepOf, waitingOf } from "../core/jobs.js";
import { icon, oncePerFrame, Rows } from "../core/page.js";
import { announce, countOf, html, plainText, showError, splitPrompt, t, timeAgo } from "../core/text.js";
import { playStrip, reading } from "./job-card.js";

/** @import {LiveJob} from "../core/jobs.js" */
/** @import {Action, Job, News, Picture} from "../types.js" */

/** What was asked for and has no job yet, or was refused. @typedef {{id: string, name: string, kind: string, inWords: boolean, error: string, again: () => void}} Wish */

const ANSWERED = ["describe", "classify", "read", "why"]; // actions whose results are words
const LINES = /** @type {Record<string, number>} */ ({ describe: 4, classify: 5 }); // of an answer that is awaited; the style sheet keeps its height free
const MINUTE = 60_000; // ms
const REMEMBERED = 30; // jobs that were asked for on a page and weren't made from its picture

export class Results {
  /**
   * @param {Job} job
   * @param {Picture} picture
   * @param {Job[]} made  from the picture, newest first
   */
  constructor(job, picture, made) {
    this.job = job;
    this.picture = picture;
    /** @type {Wish[]} newest first */
    this.wishes = [];
    /** @type {Set<string>} jobs that were asked for here without being made from the picture, such as the same words once more */
    this.asked = new Set(/** @type {string[] | null} */ (keptHere(this.#memory)) ?? []);
    /** @type {Set<string>} jobs that are drawn: the studio may tell of one before it has answered who asked, whose wish stands in its place till then */
    this.known = new Set();
    /** @type {Set<string>} */
    this.live = new Set();
    this.jobs = new Jobs(made, oncePerFrame(() => this.draw()), (one) => this.#belongs(one));
    this.strip = new List("made", (item) => this.#tile(item));
    this.answers = new List("answers", (item) => this.#answer(item));
    this.strip.place?.addEventListener("click", ({ target }) => target instanceof Element && target.closest("a") && keepTrail(this.#jobs(false).flatMap((one) => one.pictures.map(({ href }) => href))));
    for (const id of this.asked) readJob(id).then((one) => this.jobs.add([one]), () => this.asked.delete(id));
    setInterval(() => this.draw(), MINUTE);
    this.draw();
  }

  get #memory() {
    return `asked:${this.job.id}/${this.picture.n}`;
  }

  /** @param {LiveJob} one */
  #belongs({ id, parent }) {
    if (!parent) return this.asked.has(id);
    if (parent.job === this.job.id) return parent.n === this.picture.n || this.asked.has(id);
    return this.asked.has(id) || (this.jobs.byId.get(parent.job)?.scores.length ?? 0) > 0; // why a label was said
  }

  /** @param {boolean} inWords */
  #jobs(inWords) {
    return this.jobs.all.filter((one) => (one.count === 0) === inWords);
  }

  draw() {
    for (const [list, inWords] of /** @type {const} */ ([[this.strip, false], [this.answers, true]])) {
      const wishes = this.wishes.filter((wish) => wish.inWords === inWords);
      const waits = wishes.some(({ error }) => !error);
      const shown = this.#jobs(inWords).filter(({ id }) => !waits || this.known.has(id));
      for (const { id } of shown) this.known.add(id);
      list.draw([...wishes, ...shown]);
    }
    const done = this.jobs.all.filter(({ id, over }) => over && this.live.has(id));
    this.live = new Set(this.jobs.all.filter(({ over }) => !over).map(({ id }) => id));
    for (const one of done) announce(`${one.name}: ${one.error ?? (one.pictures.length ? `${countOf(one.pictures.length, one.pictures[0]?.video ? "video" : "picture")} ready` : saidBy(one))}`);
  }

  /** @param {News} news */
  async take(news) {
    await this.jobs.take(news);
  }

  /**
   * Ask for something: it stands in its place at once, with what the studio says of it.
   * @param {string} name
   * @param {string} kind  of the answer, "" for pictures
   * @param {() => Promise<Job[]>} send
   */
  async ask(name, kind, send) {
    const inWords = kind !== "";
    /** @type {Wish} */
    const wish = { id: `wish-${Math.random()}`, name, kind, inWords, error: "", again: () => {} };
    this.wishes.unshift(wish);
    this.draw();
    (inWords ? this.answers : this.strip).place?.querySelector("article")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    try {
      const jobs = await send();
      for (const { id, parent } of jobs) if (!parent || parent.job !== this.job.id || parent.n !== this.picture.n) this.asked.add(id);
      keepHere(this.#memory, this.asked.size ? [...this.asked].slice(-REMEMBERED) : null);
      for (const { id } of jobs) this.known.add(id);
      this.jobs.add(jobs);
      this.#forget(wish.id);
      return true;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return false; // the page leads to where people sign in
      wish.error = error instanceof Error ? error.message : String(error);
      wish.again = () => {
        this.#forget(wish.id);
        this.ask(name, kind, send);
      };
      announce(`${name}: ${plainText(wish.error)}`);
      this.draw();
      return false;
    }
  }

  /**
   * @param {Job} job  whose picture or whose words it is done to
   * @param {number} n
   * @param {Action} action
   * @param {Record<string, unknown>} filled
   */
  press(job, n, action, filled) {
    const { label, group } = action;
    const name = /^(Upscale|Pan|Animate)$/.test(group) || /^(Subtle|Strong)$/.test(label) ? `${group} ${label.toLowerCase()}` : label;
    const kind = ANSWERED.includes(action.action) ? action.action : job.count === 0 ? job.kind : "";
    return this.ask(name, kind, () => sendOnce([job.id, n, action.action, filled], (key) => pressJob(job.id, n, action.action, filled, key)));
  }

  /** Ask a question about the picture. @param {Record<string, string>} said  what its form says */
  question({ pictures = "", question = "", answer = "" }) {
    return this.ask(question, "ask", async () => {
      const body = { pictures: [pictures], question, answer };
      const { job } = /** @type {{job: string}} */ (await sendOnce(["talk", body], (key) => sendJson("POST", "/api/talk", { ...body, key })));
      return [await readJob(job)];
    });
  }

  /** Draw what a caption says. @param {string} caption */
  #drawn(caption) {
    return this.ask(caption, "", () => sendOnce([caption, [], ""], (key) => sendJob(caption, [], key)));
  }

  /** @param {string} id */
  #forget(id) {
    this.wishes = this.wishes.filter((wish) => wish.id !== id);
    this.draw();
  }

  /** @param {LiveJob} one */
  async #stop(one) {
    await cancelJob(one.id).catch(showError);
  }

  /** Take away what failed or was stopped; an answer after a question. @param {LiveJob} one */
  async #remove(one) {
    try {
      const { askConfirmed } = await import("../core/dialog.js");
      const isAnswer = one.over && !one.error && one.status !== "cancelled";
      if (isAnswer && !(await askConfirmed(t("Delete this answer?"), t("It is deleted for good, here and on Create."), "Delete", { bad: true }))) return;
      await deleteJob(one.id);
      this.jobs.drop(one.id);
    } catch (error) {
      showError(error);
    }
  }

  /** @param {LiveJob | Wish} item */
  #tile(item) {
    if (!("status" in item)) return tile(item.name, item.name, problemOr(item.error, t("Asking")), wishTools(item, () => this.#forget(item.id)), !item.error);
    const { name } = item;
    const words = splitPrompt(item.prompt).words;
    const own = words === splitPrompt(this.job.prompt).words ? "" : words; // what was typed says more than how it is called
    return tile(own || name, own ? `${name}: ${own}` : name, html`${boxOf(item, this.picture)}${noted(item)}`, this.#state(item), !item.over);
  }

  /** @param {LiveJob} one */
  #state(one) {
    if (!one.mine) return html`<span class="muted">${timeAgo(one.created)}</span>`;
    if (!one.over) return html`<span class="muted">${one.status === "queued" ? t("Waiting") : stepOf(one)[0]}</span><button class="text-button" type="button" aria-label="Stop: ${one.name}" @click=${() => this.#stop(one)}>Stop</button>`;
    if (one.pictures.length) return html`<span class="muted">${timeAgo(one.created)}</span>`;
    const again = one.actions.find(({ action }) => action === "again");
    return html`${again ? html`<button class="text-button" type="button" @click=${() => this.press(one, 1, again, {})}>Try again</button>` : nothing}<button class="text-button" type="button" @click=${() => this.#remove(one)}>Remove</button>`;
  }

  /** @param {LiveJob | Wish} item */
  #answer(item) {
    if (!("status" in item)) return answer(item, item.name, wishTools(item, () => this.#forget(item.id)), item.error ? trouble(item.error) : awaited(item.kind, t("Asking")), !item.error);
    const why = item.over ? item.actions.find(({ action }) => action === "why") : undefined;
    const tools = !item.mine
      ? nothing
      : item.over
      ? html`<button class="icon-button" type="button" title="Delete" aria-label="Delete this answer" @click=${() => this.#remove(item)}>${icon("close")}</button>`
      : html`<button class="text-button" type="button" aria-label="Stop: ${item.name}" @click=${() => this.#stop(item)}>Stop</button>`;
    const drawing = item.talk && item.grid && item.grid.visibility !== "block" ? html`<a class="read-picture" href=${item.talk}><img src=${item.grid.thumb} width=${item.grid.width} height=${item.grid.height} alt="What the answer shows on the picture"></a>` : nothing;
    const body = html`
      ${item.answer ? html`<p class="answer-text">${item.answer}</p>` : nothing}${drawing}
      ${reading(item, { use: (caption) => this.#drawn(caption), useWord: t("Draw it") })}
      ${item.error ? trouble(item.error) : nothing}
      ${item.status === "cancelled" && !item.answer ? html`<p class="muted small">Stopped before it was done.</p>` : nothing}
      ${item.over || item.answer ? nothing : awaited(item.kind, item.status === "queued" ? waitingOf(item) : stepOf(item)[0])}
      ${item.notes.map((note) => html`<p class="muted small">${plainText(note)}</p>`)}
      ${item.over && (item.talk || why) && item.mine ? html`<p class="job-actions">${item.talk ? html`<a class="button quiet small" href=${item.talk}>Ask more</a>` : nothing}${why ? html`<button class="button quiet small" type="button" @click=${() => this.press(item, 1, why, {})}>Why?</button>` : nothing}</p>` : nothing}`;
    return answer(item, item.talk ? (item.question ?? "") : item.name, tools, body, !item.over);
  }
}

/** A list whose rows are kept, and which is there only where the page has a place for it. */
class List {
  /**
   * @param {string} id
   * @param {(item: LiveJob | Wish) => import("../../vendor/lit-html/lit-html.js").TemplateResult} drawn
   */
  constructor(id, drawn) {
    this.place = document.getElementById(id);
    this.place?.replaceChildren(); // what the server drew
    /** @type {Rows<LiveJob | Wish> | null} */
    this.rows = this.place && new Rows(this.place, (item) => item.id, drawn);
  }

  /** @param {(LiveJob | Wish)[]} items */
  draw(items) {
    this.rows?.draw(items);
    this.place?.classList.toggle("nothing", !items.length);
  }
}

/** What an answer says, to be read out. @param {LiveJob} job */
const saidBy = (job) => job.answer || job.captions[0] || job.text || job.scores.map(([label]) => label)[0] || "done";

/** @param {string} error */
const trouble = (error) => html`<div class="trouble">${icon("alert")}<p>${plainText(error)}</p></div>`;

/**
 * @param {string} error
 * @param {string} otherwise
 */
const problemOr = (error, otherwise) => (error ? html`<p class="result-words bad" tabindex="0">${plainText(error)}</p>` : html`<p class="result-words">${otherwise}</p>`);

/**
 * @param {Wish} wish
 * @param {() => void} forget
 */
const wishTools = (wish, forget) =>
  wish.error ? html`<button class="text-button" type="button" @click=${wish.again}>Try again</button><button class="text-button" type="button" @click=${forget}>Remove</button>` : nothing;

/**
 * @param {string} name
 * @param {string} title
 * @param {unknown} box
 * @param {unknown} state
 * @param {boolean} busy
 */
const tile = (name, title, box, state, busy) => html`<article class="result" aria-label=${title} aria-busy=${busy}>
  <div class="result-box ${busy ? "busy" : ""}">${box}</div>
  <p class="result-name" title=${title}>${name}</p>
  <div class="result-state">${state}</div>
</article>`;

/** The box of a result: where it waits, what it looks like so far, its pictures. All of one size, so nothing moves. @param {LiveJob} job @param {Picture} picture  that it is made from */
function boxOf(job, picture) {
  if (job.error) return problemOr(job.error, "");
  if (job.pictures.length) {
    return html`<div class="result-pictures" data-count=${job.pictures.length}>${job.pictures.map((one) =>
      one.visibility === "block"
        ? html`<span class="result-hidden" title="Hidden by a rule of this studio">${icon("block")}</span>`
        : html`<a href=${one.href}><img class=${one.visibility === "spoiler" ? "veiled" : ""} src=${job.pictures.length > 1 ? one.small : one.thumb} width=${one.width} height=${one.height} alt=${one.alt}>${one.video ? html`<span class="length" aria-hidden="true">${icon("play")}</span>` : nothing}</a>`)}</div>`;
  }
  if (job.status === "cancelled") return html`<p class="result-words">Stopped</p>`;
  if (job.over) return html`<p class="result-words">There is no picture</p>`;
  if (job.status === "queued") return html`<p class="result-words">${waitingOf(job)}</p>`;
  const share = stepOf(job)[1];
  const preview = job.group === "videos" ? videoPreview(job, picture) : html`<img class="result-preview" src=${job.shown} alt="">`;
  return html`${job.shown ? preview : html`<p class="result-words" aria-hidden="true">${stepOf(job)[0]}</p>`}
    ${share === null ? html`<progress aria-label="Progress"></progress>` : html`<progress aria-label="Progress" max="1" .value=${share}></progress>`}`;
}

/** The frames of a video so far, in turn, in a box of the video's shape. @param {LiveJob} job @param {Picture} picture  that it is made from */
function videoPreview(job, picture) {
  const { width, height } = job.width && job.height ? job : picture;
  const play = (/** @type {Event} */ event) => {
    const frame = /** @type {HTMLElement} */ (/** @type {HTMLElement} */ (event.target).parentElement);
    frame.style.aspectRatio = `${width} / ${height}`;
    playStrip(event);
  };
  return html`<div class="result-frame ${(height ?? 1) > (width ?? 1) ? "tall" : ""}"><img class="result-preview previews film" src=${job.shown} alt="" @load=${play}></div>`;
}

/** What is to be known of pictures, over their lower edge. @param {LiveJob} job */
const noted = ({ notes, pictures }) => (notes.length && pictures.length ? html`<p class="result-note" title=${plainText(notes.join("\n"))}>${plainText(notes.join(" "))}</p>` : nothing);

/**
 * @param {{kind: string}} item
 * @param {string} title
 * @param {unknown} tools
 * @param {unknown} body
 * @param {boolean} busy
 */
const answer = ({ kind }, title, tools, body, busy) => html`<article class="answer" data-kind=${kind} aria-label=${title} aria-busy=${busy}>
  <div class="answer-head"><h2>${title}</h2>${tools}</div>
  ${body}
</article>`;

/** Where an answer will stand. @param {string} kind @param {string} words */
const awaited = (kind, words) => html`<p class="muted small">${words}</p>
  ${Array.from({ length: LINES[kind] ?? 2 }, () => html`<span class="awaited" aria-hidden="true"></span>`)}`;
