// Questions about what is painted, or about all that is shown; answered beside the canvas, and gone on with there.
import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { ask, cancel, change, untilAnswered, upload } from "../js/core/api.js";
import { once } from "../js/core/outbox.js";
import { oncePerFrame } from "../js/core/page.js";
import { plain } from "../js/core/text.js";
import { complain, say } from "../js/core/toasts.js";
import { addressOf } from "./document.js";

/** @import {News, Turn} from "../js/types.js" */
/** @import {Source, State} from "./document.js" */
/** @import {Editor} from "./editor.js" */
/** @import {Box} from "./mask.js" */

const AROUND = 8; // a part of the longer side of what is painted is shown around it
const LEAST_AROUND = 16; // px
const MOST_PIXELS = 2 ** 21; // a host's models see a million, by default

/** What a question is about: a state, and the box of it that is shown. @typedef {{state: State, box: Box, isPart: boolean}} Sight */

/** The box to show for what is painted: with some of what lies around it, inside of the canvas. Pure. @param {Box} box @param {number} width @param {number} height @returns {Box} */
export function around([left, top, right, bottom], width, height) {
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
    return { state: shown, box: bounds ? around(bounds, shown.width, shown.height) : [0, 0, shown.width, shown.height], isPart: bounds !== null };
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
    if (!news.complete || news.changed.includes(last.id)) this.#read(last.id).catch(complain);
  }

  /** @param {string} id */
  async #read(id) {
    const wasOver = this.turns.find((turn) => turn.id === id)?.over;
    this.isReading = true;
    try {
      do {
        this.missed.length = 0;
        this.turns = /** @type {{turns: Turn[]}} */ (await untilAnswered(() => ask(`/api/talk/${id}`, {}))).turns;
        this.draw();
      } while (this.missed.some(({ changed, complete }) => !complete || changed.includes(id)));
    } finally {
      this.isReading = false;
    }
    const { turns } = this;
    const last = turns.at(-1);
    if (last?.over && !wasOver) say(last.error ? plain(last.error) : `Answered: ${last.answer}`);
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
      const { job } = /** @type {{job: string}} */ (await once([path, question, pictures], (key) => change("POST", path, { question, pictures, key })));
      this.about = sight;
      if (field.value.trim() === question) field.value = "";
      const reading = this.#read(job); // from here on it keeps the news
      this.isSending = false;
      await reading;
    } catch (error) {
      complain(error);
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
    const about = this.sight.isPart ? "what is painted" : this.editor.instead ? "what is shown" : "all of it";
    return html`<section aria-label="Questions"><h2>Ask <span class="muted" role="status">${isMore ? "goes on" : `about ${about}`}</span></h2>
      ${isMore ? turns.map(turn) : nothing}
      <form class="asking" @submit=${(/** @type {SubmitEvent} */ event) => this.#send(event)}>
        <textarea class="field" name="question" rows="1" maxlength="4000" required aria-label="Question" placeholder=${isMore ? "Ask more" : "What is this?"} @keydown=${(/** @type {KeyboardEvent} */ event) => this.#key(event)}></textarea>
        <button class="button quiet small" ?disabled=${this.isBusy}>${isSending ? "Sending" : "Ask"}</button></form>
      ${last && isMore ? html`<p class="job-actions">${last.over ? nothing : html`<button class="button quiet small" type="button" @click=${() => cancel(last.id).catch(complain)}>Stop</button>`}<a class="button quiet small" href="/talk/${last.id}" target="_blank">Open the conversation</a></p>` : nothing}
    </section>`;
  }
}

/** @param {Turn} turn */
const turn = ({ question, answer, error, over, cancelled, position, notes }) => html`<div class="turn">
  <p class="question">${question}</p>
  ${error ? html`<p class="wrong">${plain(error)}</p>` : cancelled ? html`<p class="muted">Stopped before the first word.</p>` : answer ? html`<p class="said" aria-busy=${!over}>${answer}</p>` : html`<p class="muted">${position ? `Place ${position} in the queue` : "Looking"} …</p>`}
  ${notes.map((note) => html`<p class="muted small">${plain(note)}</p>`)}
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
