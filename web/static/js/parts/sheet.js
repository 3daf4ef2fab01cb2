// A sheet of drafts: a press draws one in full, marks choose several; by keys, mouse and touch.
import { nothing } from "../../vendor/lit-html/lit-html.js";
import { icon } from "../core/page.js";
import { html, t } from "../core/text.js";

/** @import {LiveJob} from "../core/jobs.js" */
/** @import {Picture} from "../types.js" */

const LONG = 500; // ms of a press that marks
const end = () => clearTimeout(press.timer);

/** The press that is under way. @type {{timer?: ReturnType<typeof setTimeout>, isLong: boolean}} */
const press = { isLong: false };

/** @param {() => void} mark */
function begin(mark) {
  end();
  press.isLong = false;
  press.timer = setTimeout(() => {
    press.isLong = true;
    mark();
  }, LONG);
}

/** The drafts of every sheet on a page, and which of them are marked. */
export class Drafts {
  /**
   * @param {(job: LiveJob, n: number) => Promise<void>} full  draws a draft in full
   * @param {() => void} onChange
   */
  constructor(full, onChange) {
    this.full = full;
    this.onChange = onChange;
    /** @type {Map<string, Set<number>>} numbers of drafts, by their job */
    this.marks = new Map();
  }

  /** Which drafts of a sheet are marked. @param {LiveJob} job @returns {ReadonlySet<number>} */
  marked({ id }) {
    return this.marks.get(id) ?? new Set();
  }

  /**
   * A draft, which is drawn in full when it is pressed.
   * @param {LiveJob} job
   * @param {Picture} picture
   * @param {() => void} favourite  likes it, or no more
   */
  cell(job, picture, favourite) {
    const draw = () => {
      end();
      if (press.isLong) press.isLong = false;
      else this.#draw(job, [picture.n]);
    };
    return html`<button class="draft" type="button" title=${t("Draw in full")} aria-label="Draw in full: ${picture.alt}" @click=${draw}
      @pointerdown=${() => begin(() => this.#mark(job, picture.n))} @pointerup=${end} @pointerleave=${end} @pointercancel=${end} @contextmenu=${(/** @type {Event} */ event) => press.isLong && event.preventDefault()}
      @keydown=${(/** @type {KeyboardEvent} */ event) => this.#onKey(event, job, picture, favourite)} @keyup=${(/** @type {KeyboardEvent} */ event) => event.key === " " && event.preventDefault()}>
      <img src=${picture.small} width=${picture.width} height=${picture.height} alt="" draggable="false"></button><span class="draft-number" aria-hidden="true">${picture.n}</span>`;
  }

  /** What marks a draft, for who uses no keys. @param {LiveJob} job @param {Picture} picture */
  mark(job, picture) {
    return html`<button class="icon-button mark" type="button" aria-pressed=${this.marked(job).has(picture.n)} aria-label="Mark, picture ${picture.n}" title="Mark"
      @click=${() => this.#mark(job, picture.n)}>${icon("check")}</button>`;
  }

  /** What draws the drafts that are marked. @param {LiveJob} job */
  drawMarked(job) {
    const { size } = this.marked(job);
    return size ? html`<button class="button small" type="button" @click=${() => this.#draw(job, this.marked(job))}>${t("Draw {0} in full", size)}</button>` : nothing;
  }

  /** @param {LiveJob} job @param {number} n */
  #mark(job, n) {
    const marks = new Set(this.marked(job));
    if (!marks.delete(n)) marks.add(n);
    this.marks.set(job.id, marks);
    this.onChange();
  }

  /** @param {LiveJob} job @param {Iterable<number>} numbers */
  async #draw(job, numbers) {
    for (const n of [...numbers].toSorted((one, other) => one - other)) await this.full(job, n);
    this.marks.delete(job.id);
    this.onChange();
  }

  /**
   * @param {KeyboardEvent} event
   * @param {LiveJob} job
   * @param {Picture} picture
   * @param {() => void} favourite
   */
  #onKey(event, job, picture, favourite) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const work = event.key === " " ? () => this.#mark(job, picture.n)
      : event.key === "l" ? favourite
      : event.key === "Enter" && event.shiftKey ? () => this.#draw(job, this.marked(job))
      : null;
    if (!work) return;
    event.preventDefault();
    event.stopPropagation();
    work();
  }
}
