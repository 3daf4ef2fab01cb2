// What became of a document that was sent: its progress in place, then its pictures beside the original, to compare and keep.
import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { change } from "../js/core/api.js";
import { Jobs } from "../js/core/jobs.js";
import { live } from "../js/core/connection.js";
import { once } from "../js/core/outbox.js";
import { icon, oncePerFrame } from "../js/core/page.js";
import { counted, plain } from "../js/core/text.js";
import { complain, say } from "../js/core/toasts.js";
import { step } from "../js/parts/step.js";
import { fresh, freeId, layer, written } from "./document.js";
import { sendFiles } from "./save.js";

/** @import {LiveJob} from "../js/core/jobs.js" */
/** @import {Job, News} from "../js/types.js" */
/** @import {Source, State} from "./document.js" */
/** @import {Editor} from "./editor.js" */
/** @import {Middle} from "./view.js" */

const BLINK = 700; // ms of each, when the original and a candidate take turns

/** The place of candidate `at` in a sheet of previews: left, top, width, height as shares. Pure. @param {number} count @param {number} at @returns {[number, number, number, number]} */
export function quarter(count, at) {
  const [columns, rows] = [count > 1 ? 2 : 1, count > 2 ? 2 : 1];
  return [(at % columns) / columns, Math.floor(at / columns) / rows, 1 / columns, 1 / rows];
}

export class Results {
  /** @param {Editor} editor @param {HTMLElement} place @param {() => void} onChange */
  constructor(editor, place, onChange) {
    this.editor = editor;
    this.place = place;
    this.onChange = onChange;
    this.isSending = false;
    /** @type {{id: string, state: State, seam: number | null} | null} */
    this.run = null;
    /** @type {number | null} the candidate that is shown, from 1 */
    this.shown = null;
    this.split = 100; // % of it that is shown, from the right
    this.isDifference = false;
    this.isBeside = false;
    /** @type {Middle | "all" | null} how the document was looked at before */
    this.looked = null;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.blinking = undefined;
    this.said = "";
    /** @type {{take: (news: News) => void} | null} who else is told the news, of which a page reads one stream */
    this.other = null;
    this.jobs = new Jobs([], oncePerFrame(() => this.#news()), ({ id }) => id === this.run?.id);
    live((news) => {
      this.jobs.take(news).catch(complain);
      this.other?.take(news);
    });
  }

  /** @returns {LiveJob | undefined} */
  get job() {
    return this.jobs.all[0];
  }

  /** Ask for what the document says. */
  async send() {
    const { state, mask } = this.editor;
    if (this.isSending) return;
    this.isSending = true;
    this.onChange();
    try {
      await sendFiles(state);
      const painted = crypto.subtle && hex(await crypto.subtle.digest("SHA-256", mask.bits)); // only where the page came safely
      const document = written(state);
      const { jobs, said, seam } = /** @type {{jobs: Job[], said: string, seam: number | null}} */ (await once(document, (key) => change("POST", "/api/edits", { document, painted, key })));
      const [first] = jobs;
      if (first) this.run = { id: first.id, state, seam };
      this.show(null);
      this.said = plain(said);
      this.jobs.add(jobs);
      say(this.said);
    } catch (error) {
      complain(error);
    }
    this.isSending = false;
    this.onChange();
  }

  #news() {
    const { job, editor } = this;
    if (job && !job.over && job.shown && job.box) this.#inPlace(job.shown, job.box, job.count);
    else if (editor.preview) {
      editor.preview = null;
      editor.look();
    }
    if (job?.over && job.pictures.length && !this.isTold) {
      say(`${counted(job.pictures.length, "picture")} ready`);
      if (editor.state === this.run?.state) this.show(1);
    }
    this.isTold = job?.over ?? false;
    this.draw();
  }

  /** @param {string} address @param {[number, number, number, number]} box @param {number} count */
  #inPlace(address, box, count) {
    const image = new Image();
    image.src = address; // decoded by now
    const put = () => {
      this.editor.preview = { image, part: quarter(count, 0), box };
      this.editor.look();
    };
    if (image.complete) put();
    else image.onload = put;
  }

  /** Show a candidate instead of the document; null = the document. @param {number | null} n from 1 */
  async show(n) {
    if (this.isBeside) this.#apart();
    if (n === null) this.blink(false);
    this.shown = n;
    const { run, editor } = this;
    const candidate = this.#source(n);
    if (!run || !candidate) {
      editor.show(null);
      return this.draw();
    }
    const state = fresh(candidate, run.state.width, run.state.height);
    editor.show({ state, mask: null, split: this.split });
    this.draw();
    if (!this.isDifference) return;
    const [module] = await Promise.all([import("./difference.js").catch(complain), editor.pictures.load(candidate).catch(complain)]);
    if (!module) return;
    const { mask, changed, outside } = module.difference(editor, run.state, state, run.seam);
    this.said = `${counted(changed, "pixel")} changed${run.seam === null ? "" : `, ${outside ? outside.toLocaleString("en") : "none"} outside of what was painted or uncovered`}`;
    if (this.shown === n && this.isDifference) editor.show({ state, mask, split: 100 });
    this.draw();
  }

  /** Show all candidates beside each other, and the original beside a lone one; the view moves and zooms them together. */
  beside() {
    const { run, job, editor } = this;
    if (!run || !job?.pictures.length) return;
    this.blink(false);
    [this.shown, this.isBeside] = [null, true];
    const all = job.pictures.slice(0, 4).map(({ n }) => ({ name: String(n), state: fresh({ job: run.id, n }, run.state.width, run.state.height) }));
    const beside = all.length > 1 ? all : [{ name: "Before", state: run.state }, ...all];
    this.looked ??= editor.isFitted ? "all" : editor.view.middle;
    editor.show({ state: run.state, mask: null, split: 100, beside });
    editor.fit();
    this.draw();
    say("All pictures beside each other");
  }

  #apart() {
    const { editor, looked } = this;
    this.isBeside = false;
    editor.show(null);
    if (looked === "all") editor.fit();
    else if (looked) editor.view.middle = looked;
    editor.isFitted = looked === "all";
    this.looked = null;
  }

  /** Let the original and the candidate take turns. @param {boolean} isOn */
  blink(isOn) {
    clearInterval(this.blinking);
    this.blinking = undefined;
    const { run, editor } = this;
    if (!isOn || !run) return;
    let isBefore = false;
    this.isDifference = false;
    this.blinking = setInterval(() => {
      isBefore = !isBefore;
      if (isBefore) editor.show({ state: run.state, mask: null, split: 100 });
      else this.show(this.shown);
    }, BLINK);
  }

  /** @param {number | null} n @returns {Source | null} */
  #source(n) {
    return n !== null && this.run && this.job?.pictures.some((one) => one.n === n) ? { job: this.run.id, n } : null;
  }

  /** Let the candidate be the document's picture, or one more layer of it. @param {boolean} isLayer */
  keep(isLayer) {
    const source = this.#source(this.shown);
    const { editor } = this;
    if (!source) return;
    const { state } = editor;
    const name = `Picture ${this.shown}`;
    const base = { ...layer(isLayer ? freeId(state) : "base", source), name };
    editor.replace({ ...state, layers: isLayer ? [...state.layers, base] : [base] }, !isLayer);
    editor.select(base.id);
    this.close();
  }

  /** Go back to the document; the pictures stay in the gallery. */
  close() {
    this.run = null;
    this.show(null);
    this.onChange();
  }

  /** @param {boolean} isOn  before, as long as it is held */
  hold(isOn) {
    if (isOn) this.editor.show(null);
    else this.show(this.shown);
  }

  draw() {
    render(this.run ? this.#strip(this.run.id) : nothing, this.place);
  }

  /** @param {string} id */
  #strip(id) {
    const { job } = this;
    const close = html`<button class="icon-button" type="button" title="Close" aria-label="Close" @click=${() => this.close()}>${icon("close")}</button>`;
    if (job?.error) return html`<div class="strip trouble">${icon("alert")}<p>${plain(job.error)}</p>${close}</div>`;
    if (!job || !job.over) return this.#running(job);
    if (!job.pictures.length) return html`<div class="strip"><p>Stopped before it was done.</p>${close}</div>`;
    const button = (/** @type {boolean} */ isOn, /** @type {unknown} */ inside, /** @type {string} */ label, /** @type {() => void} */ work) =>
      html`<button class="candidate" type="button" aria-pressed=${isOn} aria-label=${label} @click=${work}>${inside}</button>`;
    const pick = (/** @type {number | null} */ n, /** @type {unknown} */ inside, /** @type {string} */ label) => button(this.shown === n && !this.isBeside, inside, label, () => this.show(n));
    return html`<div class="strip">
      <div class="candidates" role="group" aria-label="Results">
        ${pick(null, html`<span>Before</span>`, "Before")}
        ${job.pictures.map(({ n, small }) => pick(n, html`<img src=${small} alt="">`, `Picture ${n}`))}
        ${button(this.isBeside, html`<span>All</span>`, "All beside each other", () => this.beside())}
        ${close}
      </div>
      ${this.shown === null ? html`<p class="muted small">${this.said}</p>` : this.#tools(id)}
      ${job.notes.map((note) => html`<p class="muted small">${plain(note)}</p>`)}
    </div>`;
  }

  /** @param {LiveJob | undefined} job */
  #running(job) {
    const [words, share] = job && job.status !== "queued" ? step(job) : [job?.position ? `Place ${job.position} in the queue` : "Waiting", null];
    return html`<div class="strip running">
      ${job?.shown ? html`<img class="sheet-preview" src=${job.shown} alt="">` : nothing}
      <div class="status"><p>${words}</p><progress aria-label="Progress" max="1" value=${Number.isFinite(share) ? share : nothing}></progress><p class="muted small">${this.said}</p></div>
      ${job ? html`<button class="button quiet small" type="button" @click=${() => later(import("../js/parts/actions.js"), ({ stop }) => stop(job))}>Cancel</button>` : nothing}
    </div>`;
  }

  /** @param {string} id */
  #tools(id) {
    const slide = (/** @type {Event} */ event) => {
      this.split = Number(/** @type {HTMLInputElement} */ (event.target).value);
      this.show(this.shown);
    };
    const differ = () => {
      this.blink(false);
      this.isDifference = !this.isDifference;
      this.show(this.shown);
    };
    const hold = (/** @type {boolean} */ isOn) => () => this.hold(isOn);
    const blink = () => {
      this.blink(!this.blinking);
      this.show(this.shown);
    };
    return html`<div class="candidate-tools">
        <label class="slide"><span class="sr">How much of the new picture is shown</span><input type="range" min="0" max="100" .value=${String(this.split)} @input=${slide}></label>
        <button class="button quiet small" type="button" @pointerdown=${hold(true)} @pointerup=${hold(false)} @pointerleave=${hold(false)} @keydown=${keyed(hold(true))} @keyup=${keyed(hold(false))}>Hold: before</button>
        <button class="button quiet small" type="button" aria-pressed=${this.blinking !== undefined} @click=${blink}>Blink</button>
        <button class="button quiet small" type="button" aria-pressed=${this.isDifference} @click=${differ}>Difference</button>
        <a class="button quiet small" href="/pictures/${id}/${this.shown}">Open</a>
        <button class="button quiet small" type="button" aria-haspopup="dialog" @click=${() => later(import("../js/parts/post.js"), ({ post }) => post(id, this.shown ?? 1))}>Post</button>
        <button class="button quiet small" type="button" @click=${() => this.keep(true)}>Add as layer</button>
        <button class="button small" type="button" @click=${() => this.keep(false)}>Keep</button>
      </div>
      ${this.isDifference ? html`<p class="muted small" role="status">${this.said}</p>` : nothing}`;
  }
}

/**
 * Do something with a module that is loaded when it is needed.
 * @template T
 * @param {Promise<T>} loading
 * @param {(module: T) => unknown} work
 */
const later = (loading, work) => loading.then(work).catch(complain);

/** @param {() => void} work */
const keyed = (work) => (/** @type {KeyboardEvent} */ event) => {
  if (event.key !== " " && event.key !== "Enter") return;
  event.preventDefault();
  work();
};

/** @param {ArrayBuffer} bytes */
const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
