// What comes back from the studio: pictures of a document that was sent, to compare and keep, and answers to questions about it.
import { nothing, render } from "../vendor/lit-html/lit-html.js";
import { cancelJob, fetchJson, Problem, readJob, sendJson, sendOnce, untilAnswered, upload } from "../js/core/api.js";
import { followNews, Jobs, stepOf, stopJob, waitingOf } from "../js/core/jobs.js";
import { icon, oncePerFrame } from "../js/core/page.js";
import { announce, countOf, html, plainText, showError, t } from "../js/core/text.js";
import { addressOf, freeId, newDocument, newLayer, sendFiles, writeDocument } from "./document.js";
import { differenceOf, drawnOf } from "./screen.js";

/** @import {LiveJob} from "../js/core/jobs.js" */
/** @import {Job, News, Turn} from "../js/types.js" */
/** @import {Run, Source, State} from "./document.js" */
/** @import {Editor} from "./editor.js" */
/** @import {Box, Mask} from "./mask.js" */
/** @import {Middle} from "./screen.js" */

const BLINK = 700; // ms of each, when the original and a candidate take turns

/** The place of candidate `at` in a sheet of previews: left, top, width, height as shares. Pure. @param {number} count @param {number} at @returns {[number, number, number, number]} */
function quarterOf(count, at) {
  const [columns, rows] = [count > 1 ? 2 : 1, count > 2 ? 2 : 1];
  return [(at % columns) / columns, Math.floor(at / columns) / rows, 1 / columns, 1 / rows];
}

export class Results {
  /** @param {Editor} editor @param {HTMLElement} place @param {() => void} onChange @param {() => void} onRun  something else is drawn, or nothing any more */
  constructor(editor, place, onChange, onRun) {
    this.editor = editor;
    this.place = place;
    this.onChange = onChange;
    this.onRun = onRun;
    this.isSending = false;
    /** @type {Run | null} */
    this.run = null;
    /** @type {{of: Run, mask: Mask} | null} where it is drawn */
    this.drawn = null;
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
    followNews((news) => {
      this.jobs.take(news).catch(showError);
      this.other?.take(news);
    });
    this.draw();
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
      const document = writeDocument(state);
      const { jobs, said, seam } = /** @type {{jobs: Job[], said: string, seam: number | null}} */ (await sendOnce(document, (key) => sendJson("POST", "/api/edits", { document, painted, key })));
      const [first] = jobs;
      this.said = plainText(said);
      if (first) this.run = { id: first.id, state, said: this.said, seam };
      this.onRun();
      this.show(null);
      this.editor.parts.stage.scrollIntoView({ block: "nearest" }); // on phones the words are below it
      this.jobs.add(jobs);
      announce(this.said);
    } catch (error) {
      showError(error);
    }
    this.isSending = false;
    this.onChange();
  }

  /** Go on with what was sent before the page was left. @param {Run} run */
  async resume(run) {
    [this.run, this.said] = [run, run.said];
    this.draw();
    try {
      this.jobs.add([await untilAnswered(() => readJob(run.id))]);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
      this.close(); // deleted meanwhile
    }
  }

  #news() {
    const { job, editor } = this;
    if (job && !job.over && job.shown && job.box) this.#inPlace(job.shown, job.box, job.count);
    else if (editor.preview) {
      editor.preview = null;
      editor.look();
    }
    if (job?.over && job.pictures.length && !this.isTold) {
      announce(`${countOf(job.pictures.length, "picture")} ready`);
      if (editor.state === this.run?.state) this.show(1);
    }
    this.isTold = job?.over ?? false;
    this.draw();
  }

  /** @param {string} address @param {[number, number, number, number]} box @param {number} count */
  #inPlace(address, box, count) {
    const { run, editor } = this;
    if (!run || run.state.width !== editor.state.width || run.state.height !== editor.state.height) return; // the canvas is another by now
    if (this.drawn?.of !== run) this.drawn = { of: run, mask: drawnOf(editor, run.state) };
    const { mask } = this.drawn;
    const image = new Image();
    image.src = address; // decoded by now
    const put = () => {
      editor.preview = { image, part: quarterOf(count, 0), box, mask };
      editor.look();
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
    const state = newDocument(candidate, run.state.width, run.state.height);
    editor.show({ state, mask: null, split: this.split });
    this.draw();
    if (!this.isDifference) return;
    await editor.pictures.load(candidate).catch(showError);
    const { mask, changed, outside } = differenceOf(editor, run.state, state, run.seam);
    this.said = `${countOf(changed, "pixel")} changed${run.seam === null ? "" : t(", {0} outside of what was painted or uncovered", outside ? outside.toLocaleString("en") : "none")}`;
    if (this.shown === n && this.isDifference) editor.show({ state, mask, split: 100 });
    this.draw();
  }

  /** Show all candidates beside each other, and the original beside a lone one; the view moves and zooms them together. */
  beside() {
    const { run, job, editor } = this;
    if (!run || !job?.pictures.length) return;
    this.blink(false);
    [this.shown, this.isBeside] = [null, true];
    const all = job.pictures.slice(0, 4).map(({ n }) => ({ name: String(n), state: newDocument({ job: run.id, n }, run.state.width, run.state.height) }));
    const beside = all.length > 1 ? all : [{ name: t("Before"), state: run.state }, ...all];
    this.looked ??= editor.isFitted ? "all" : editor.view.middle;
    editor.show({ state: run.state, mask: null, split: 100, beside });
    editor.fit();
    this.draw();
    announce(t("All pictures side by side"));
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
    const name = t("Picture {0}", this.shown);
    const base = { ...newLayer(isLayer ? freeId(state) : "base", source), name };
    editor.replace({ ...state, layers: isLayer ? [...state.layers, base] : [base] }, !isLayer);
    editor.select(base.id);
    this.close();
  }

  /** Go back to the document; the pictures stay in the gallery. */
  close() {
    this.run = null;
    this.onRun();
    this.show(null);
    this.onChange();
  }

  /** @param {boolean} isOn  before, as long as it is held */
  hold(isOn) {
    if (isOn) this.editor.show(null);
    else this.show(this.shown);
  }

  draw() {
    render(this.run ? this.#strip(this.run.id) : html`<p class="muted small">Results appear here, to compare and keep.</p>`, this.place);
  }

  /** @param {string} id */
  #strip(id) {
    const { job } = this;
    const close = html`<button class="icon-button" type="button" title="Close" aria-label="Close" @click=${() => this.close()}>${icon("close")}</button>`;
    if (job?.error) return html`<div class="strip trouble">${icon("alert")}<p>${plainText(job.error)}</p>${close}</div>`;
    if (!job || !job.over) return this.#running(job);
    if (!job.pictures.length) return html`<div class="strip"><p>Stopped before it was done.</p>${close}</div>`;
    const button = (/** @type {boolean} */ isOn, /** @type {unknown} */ inside, /** @type {string} */ label, /** @type {() => void} */ work) =>
      html`<button class="candidate" type="button" aria-pressed=${isOn} aria-label=${label} @click=${work}>${inside}</button>`;
    const pick = (/** @type {number | null} */ n, /** @type {unknown} */ inside, /** @type {string} */ label) => button(this.shown === n && !this.isBeside, inside, label, () => this.show(n));
    return html`<div class="strip">
      <div class="candidates" role="group" aria-label="Results">
        ${pick(null, html`<span>Before</span>`, t("Before"))}
        ${job.pictures.map(({ n, small }) => pick(n, html`<img src=${small} alt="">`, t("Picture {0}", n)))}
        ${button(this.isBeside, html`<span>All</span>`, t("All side by side"), () => this.beside())}
      </div>
      ${this.shown === null ? html`<p class="muted small">${this.said}</p>` : this.#tools(id)}
      ${close}
      <div class="strip-notes">${this.shown !== null && this.isDifference ? html`<p class="small" role="status">${this.said}</p>` : nothing}${job.notes.map((note) => html`<p class="small">${plainText(note)}</p>`)}</div>
    </div>`;
  }

  /** @param {LiveJob | undefined} job */
  #running(job) {
    const [words, share] = job && job.status !== "queued" ? stepOf(job) : [job?.why ? waitingOf(job) : job?.position ? t("Place {0} in the queue", job.position) : t("Waiting"), null];
    return html`<div class="strip running">
      ${job?.shown ? html`<img class="sheet-preview" src=${job.shown} alt="">` : nothing}
      <div class="status"><p>${words}</p><progress aria-label="Progress" max="1" value=${Number.isFinite(share) ? share : nothing}></progress><p class="muted small">${this.said}</p></div>
      ${job ? html`<button class="button quiet small" type="button" @click=${() => stopJob(job)}>Cancel</button>` : nothing}
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
        <button class="button small" type="button" @click=${() => this.keep(false)}>Keep</button>
        <button class="button quiet small" type="button" @click=${() => this.keep(true)}>Add as layer</button>
        <label class="slide"><span class="sr">How much of the new picture is shown</span><input type="range" min="0" max="100" .value=${String(this.split)} @input=${slide}></label>
        <button class="button quiet small" type="button" @pointerdown=${hold(true)} @pointerup=${hold(false)} @pointerleave=${hold(false)} @keydown=${keyed(hold(true))} @keyup=${keyed(hold(false))}>Hold: before</button>
        <button class="button quiet small" type="button" aria-pressed=${this.blinking !== undefined} @click=${blink}>Blink</button>
        <button class="button quiet small" type="button" aria-pressed=${this.isDifference} @click=${differ}>Difference</button>
        <a class="button quiet small" href="/pictures/${id}/${this.shown}">Open</a>
        <button class="button quiet small" type="button" aria-haspopup="dialog" @click=${() => import("../js/core/dialog.js").then(({ postPicture }) => postPicture(id, this.shown ?? 1)).catch(showError)}>Post</button>
      </div>`;
  }
}

/** @param {() => void} work */
const keyed = (work) => (/** @type {KeyboardEvent} */ event) => {
  if (event.key !== " " && event.key !== "Enter") return;
  event.preventDefault();
  work();
};

/** @param {ArrayBuffer} bytes */
const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

// Questions about what is painted, or about all that is shown; answered beside the canvas, and gone on with there.

const AROUND = 8; // a part of the longer side of what is painted is shown around it
const LEAST_AROUND = 16; // px
const MOST_PIXELS = 2 ** 21; // a host's models see a million, by default

/** What a question is about: a state, and the box of it that is shown. @typedef {{state: State, box: Box, isPart: boolean}} Sight */

/** The box to show for what is painted: with some of what lies around it, inside of the canvas. Pure. @param {Box} box @param {number} width @param {number} height @returns {Box} */
export function boxAround([left, top, right, bottom], width, height) {
  const room = Math.max(LEAST_AROUND, Math.round(Math.max(right - left, bottom - top) / AROUND));
  return [Math.max(0, left - room), Math.max(0, top - room), Math.min(width, right + room), Math.min(height, bottom + room)];
}

/** The picture that is all of a state, as it is kept; null where there is more to it. Pure. @param {State} state @param {{width: number, height: number} | undefined} size  of the lowest layer's picture @returns {Source | null} */
export function onlyPicture({ layers: [one, ...others], width, height }, size) {
  const isWhole = one && !others.length && one.visible && one.opacity === 1 && !one.clip && one.x === 0 && one.y === 0 && one.scale === 1;
  return isWhole && size?.width === width && size.height === height ? one.source : null;
}

export class Asking {
  /** @param {Editor} editor @param {HTMLElement} place */
  constructor(editor, place) {
    this.editor = editor;
    this.place = place;
    this.isSending = this.isReading = false;
    /** @type {News[]} that came while something was sent or read */
    this.missed = [];
    /** @type {Turn[]} the conversation so far */
    this.turns = [];
    /** @type {Sight | null} what it is about */
    this.about = null;
    /** @type {{state: State, bounds: Box | null} | null} what was painted when a state came about */
    this.painted = null;
    this.draw = oncePerFrame(() => render(this.#section(), this.place));
    this.draw();
  }

  /** What the next question is about: what is painted, or all of the result or document that is shown. @returns {Sight} */
  get sight() {
    const { instead, state, mask } = this.editor;
    const shown = instead?.state ?? state;
    if (this.painted?.state !== state) this.painted = { state, bounds: mask.bounds };
    const bounds = instead ? null : this.painted.bounds;
    return { state: shown, box: bounds ? boxAround(bounds, shown.width, shown.height) : [0, 0, shown.width, shown.height], isPart: bounds !== null };
  }

  /** Whether a question goes on from the last answer: it is about the same. */
  get isMore() {
    const { about, sight } = this;
    return this.turns.length > 0 && about?.state.layers === sight.state.layers && about.box.join() === sight.box.join();
  }

  focus() {
    this.place.querySelector("textarea")?.focus();
  }

  /** Enter asks, with Shift it makes a new line; Escape leads back to the canvas. @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") this.editor.parts.stage.focus();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    /** @type {HTMLTextAreaElement} */ (event.target).form?.requestSubmit();
  }

  /** Whether no question can be asked now: one is on its way, or not answered. */
  get isBusy() {
    return this.isSending || (this.isMore && !this.turns.at(-1)?.over);
  }

  /** @param {News} news */
  take(news) {
    const last = this.turns.at(-1);
    if (this.isSending || this.isReading) return this.missed.push(news); // may be of what isn't known yet
    if (!last || last.over) return;
    for (const state of news.jobs) {
      if (state.id !== last.id) continue;
      if (state.state === "progress") last.answer = state.text ?? last.answer;
      last.position = state.state === "queued" ? (state.position ?? null) : null;
      this.draw();
    }
    if (!news.complete || news.changed.includes(last.id)) this.#read(last.id).catch(showError);
  }

  /** @param {string} id */
  async #read(id) {
    const wasOver = this.turns.find((turn) => turn.id === id)?.over;
    this.isReading = true;
    try {
      do {
        this.missed.length = 0;
        this.turns = /** @type {{turns: Turn[]}} */ (await untilAnswered(() => fetchJson(`/api/talk/${id}`, {}))).turns;
        this.draw();
      } while (this.missed.some(({ changed, complete }) => !complete || changed.includes(id)));
    } finally {
      this.isReading = false;
    }
    const { turns } = this;
    const last = turns.at(-1);
    if (last?.over && !wasOver) announce(last.error ? plainText(last.error) : t("Answered: {0}", last.answer));
  }

  /** @param {SubmitEvent} event */
  async #send(event) {
    event.preventDefault();
    const field = /** @type {HTMLTextAreaElement} */ (/** @type {HTMLFormElement} */ (event.target).elements.namedItem("question"));
    const question = field.value.trim();
    if (!question || this.isBusy) return;
    this.isSending = true;
    this.draw();
    try {
      const { sight, isMore } = this;
      const last = isMore ? this.turns.at(-1) : undefined;
      const pictures = last ? [] : [await this.#picture(sight)];
      const path = last ? `/api/talk/${last.id}` : "/api/talk";
      const { job } = /** @type {{job: string}} */ (await sendOnce([path, question, pictures], (key) => sendJson("POST", path, { question, pictures, key })));
      this.about = sight;
      if (field.value.trim() === question) field.value = "";
      const reading = this.#read(job); // from here on it keeps the news
      this.isSending = false;
      await reading;
    } catch (error) {
      showError(error);
    }
    this.isSending = false;
    this.draw();
  }

  /** What the server knows the picture of a question by. @param {Sight} sight */
  async #picture({ state, box, isPart }) {
    await this.editor.load();
    const [base] = state.layers;
    const whole = isPart || !base ? null : onlyPicture(state, this.editor.pictures.loaded.get(addressOf(base.source)));
    if (whole) return "job" in whole ? `${whole.job} ${whole.n}` : whole.upload;
    const file = await cropped(this.editor.pixelsOf(state), state.width, box);
    return (await upload(file, "part.png")).sha256;
  }

  #section() {
    const { isMore, isSending, turns } = this;
    const last = turns.at(-1);
    const about = this.sight.isPart ? t("what is painted") : this.editor.instead ? t("what is shown") : t("all of it");
    return html`<section aria-label="Questions"><h2>Ask <span class="muted" role="status">${isMore ? "continues" : t("about {0}", about)}</span></h2>
      ${isMore ? turns.map(turn) : nothing}
      <form class="asking" @submit=${(/** @type {SubmitEvent} */ event) => this.#send(event)}>
        <textarea class="field" name="question" rows="1" maxlength="4000" required aria-label="Question" placeholder=${isMore ? t("Ask more") : t("What is this?")} @keydown=${(/** @type {KeyboardEvent} */ event) => this.#key(event)}></textarea>
        <button class="button quiet small" ?disabled=${this.isBusy}>${isSending ? t("Sending") : t("Ask")}</button></form>
      ${last && isMore ? html`<p class="job-actions">${last.over ? nothing : html`<button class="button quiet small" type="button" @click=${() => cancelJob(last.id).catch(showError)}>Stop</button>`}<a class="button quiet small" href="/talk/${last.id}" target="_blank">Open the conversation</a></p>` : nothing}
    </section>`;
  }
}

/** @param {Turn} turn */
const turn = ({ question, answer, error, over, cancelled, position, notes }) => html`<div class="turn">
  <p class="question">${question}</p>
  ${error ? html`<p class="wrong">${plainText(error)}</p>` : cancelled ? html`<p class="muted">Stopped before the first word.</p>` : answer ? html`<p class="said" aria-busy=${!over}>${answer}</p>` : html`<p class="muted">${position ? t("Place {0} in the queue", position) : t("Looking")} …</p>`}
  ${notes.map((note) => html`<p class="muted small">${plainText(note)}</p>`)}
</div>`;

/** A part of a picture as a file, over white, no larger than a model looks at. @param {Uint8ClampedArray<ArrayBuffer>} pixels  RGBA @param {number} across  px of a row @param {Box} box */
async function cropped(pixels, across, [left, top, right, bottom]) {
  const [width, height] = [right - left, bottom - top];
  const part = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  for (let y = 0; y < height; y++) image.data.set(pixels.subarray(4 * ((top + y) * across + left), 4 * ((top + y) * across + right)), 4 * y * width);
  /** @type {OffscreenCanvasRenderingContext2D} */ (part.getContext("2d")).putImageData(image, 0, 0);
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  const shown = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (shown.getContext("2d"));
  context.fillStyle = "white";
  context.fillRect(0, 0, shown.width, shown.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(part, 0, 0, shown.width, shown.height);
  return new File([await shown.convertToBlob({ type: "image/png" })], "part.png", { type: "image/png" });
}
