// Boxes on a picture that is labelled: dragged around what is meant, or placed by keys.
import { nothing, render, svg } from "../vendor/lit-html/lit-html.js";
import { html, t } from "../js/core/text.js";

/** @import {Box} from "../js/types.js" */
/** @typedef {[number, number, number, number]} Sides  left, top, right, bottom in 0 to 1 */

const LEAST = 0.01; // of a side: less is a press, no box
const STEP = 0.02;

/** @param {number} value */
const inside = (value) => Math.min(1, Math.max(0, value));

export class Boxes {
  /**
   * @param {() => void} onChange
   * @param {(frame: HTMLElement, event: PointerEvent) => boolean} [takes]  whether a press is for something else
   */
  constructor(onChange, takes = () => false) {
    this.onChange = onChange;
    this.takes = takes;
    /** @type {Sides[]} */
    this.all = [];
    /** @type {Sides | null} the one that is placed by keys */
    this.current = null;
    addEventListener("keydown", (event) => this.#onKey(event), true);
  }

  /** All of them, the one that is placed by keys included. @returns {Sides[]} */
  get sides() {
    return this.current ? [...this.all, this.current] : this.all;
  }

  /**
   * The boxes as those of a label.
   * @param {string} label
   * @returns {Box[]}
   */
  named(label) {
    return this.sides.map((sides) => [label, ...sides]);
  }

  /** @param {Box[]} boxes */
  set(boxes) {
    this.all = boxes.map(([, ...sides]) => sides);
    this.current = null;
  }

  /** Place one by keys: arrows move it, with Shift they change its size, Enter keeps it, Escape drops it. */
  begin() {
    this.current = [0.4, 0.4, 0.6, 0.6];
    this.onChange();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (!this.current || event.ctrlKey || event.metaKey || event.altKey) return;
    const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (way) this.#move(way[0] ?? 0, way[1] ?? 0, event.shiftKey);
    else if (event.key === "Enter") this.all = [...this.all, this.current];
    else if (event.key !== "Escape") return;
    if (!way) this.current = null;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.onChange();
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {boolean} size  the corner moves, not the box
   */
  #move(x, y, size) {
    const [left, top, right, bottom] = /** @type {Sides} */ (this.current);
    if (size) this.current = [left, top, inside(Math.max(left + STEP, right + x)), inside(Math.max(top + STEP, bottom + y))];
    else if (left + x >= 0 && right + x <= 1 && top + y >= 0 && bottom + y <= 1) this.current = [left + x, top + y, right + x, bottom + y];
  }

  /**
   * Draw the boxes over a picture, and let the pointer drag new ones.
   * @param {HTMLElement} frame
   */
  draw(frame) {
    let layer = /** @type {HTMLElement | null} */ (frame.querySelector(".boxes-layer"));
    if (!layer) {
      layer = Object.assign(document.createElement("div"), { className: "boxes-layer" });
      frame.append(layer);
      frame.addEventListener("pointerdown", (event) => this.#drag(frame, event));
    }
    const rect = (/** @type {Sides} */ [left, top, right, bottom], /** @type {string} */ kind) =>
      svg`<rect class=${kind} x=${left} y=${top} width=${right - left} height=${bottom - top}></rect>`;
    const shown = html`<svg class="desk-boxes" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">${this.all.map((one) => rect(one, ""))}${this.current ? rect(this.current, "current") : nothing}</svg>`;
    render(shown, layer);
  }

  /**
   * @param {HTMLElement} frame
   * @param {PointerEvent} event
   */
  #drag(frame, event) {
    if (event.button || this.takes(frame, event)) return;
    event.preventDefault();
    frame.setPointerCapture(event.pointerId);
    const at = (/** @type {PointerEvent} */ { clientX, clientY }) => {
      const around = frame.getBoundingClientRect();
      return [inside((clientX - around.left) / around.width), inside((clientY - around.top) / around.height)];
    };
    const [x = 0, y = 0] = at(event);
    const move = (/** @type {PointerEvent} */ moved) => {
      const [a = 0, b = 0] = at(moved);
      this.current = [Math.min(x, a), Math.min(y, b), Math.max(x, a), Math.max(y, b)];
      this.draw(frame);
    };
    const end = () => {
      frame.removeEventListener("pointermove", move);
      const made = this.current;
      this.current = null;
      if (made && made[2] - made[0] > LEAST && made[3] - made[1] > LEAST) this.all = [...this.all, made];
      this.onChange();
    };
    frame.addEventListener("pointermove", move);
    frame.addEventListener("pointerup", end, { once: true });
    frame.addEventListener("pointercancel", end, { once: true });
  }

  /** What is said of the boxes beside the labels. */
  panel() {
    const placing = html`<p class="small">Arrows move the box, with Shift they change its size. Enter keeps it, Esc discards it.</p>`;
    const count = this.all.length;
    return html`<p class="muted small">${count ? t("{0} {1} for the label that you give.", count, count === 1 ? "box" : "boxes") : t("Drag a box around what you mean, if it is only a part of the picture.")}</p>
      ${this.current ? placing : nothing}
      <div class="job-actions"><button class="button quiet small" type="button" @click=${() => this.begin()}>Box by keys <kbd>b</kbd></button>
      ${count ? html`<button class="button quiet small" type="button" @click=${() => { this.set([]); this.onChange(); }}>Discard the boxes</button>` : nothing}</div>`;
  }
}
