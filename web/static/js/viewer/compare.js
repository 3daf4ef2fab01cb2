// Two pictures over each other: a line that is moved between them, or the other one as long as a button is held.
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";

/** A picture to compare with. */
/** @typedef {{src: string, label: string}} Other */

export class Compare {
  /**
   * @param {HTMLElement} stage
   * @param {Other[]} others
   * @param {(on: boolean) => void} onToggle
   */
  constructor(stage, others, onToggle) {
    this.stage = stage;
    this.others = others;
    this.onToggle = onToggle;
    this.on = false;
    this.at = 50; // % from the left
    this.other = others[0];
    this.layer = document.createElement("div");
    this.layer.className = "compare-layer";
    this.tools = document.createElement("div");
    stage.append(this.layer);
    stage.after(this.tools);
  }

  toggle() {
    if (!this.other) return;
    this.on = !this.on;
    this.at = 50;
    this.stage.classList.toggle("comparing", this.on);
    this.#draw();
    if (this.on) this.layer.querySelector("input")?.focus();
    this.onToggle(this.on);
  }

  #draw() {
    render(this.on && this.other ? this.#over(this.other) : nothing, this.layer);
    render(this.on ? this.#bar() : nothing, this.tools);
    this.#cut(this.at);
  }

  /** @param {Other} other */
  #over(other) {
    return html`<img class="other" src=${other.src} alt=${other.label}>
      <span class="divider"></span>
      <input class="slider" type="range" min="0" max="100" step="0.5" .value=${String(this.at)} aria-label="How much of each is shown"
        @input=${(/** @type {Event} */ event) => this.#cut(Number(/** @type {HTMLInputElement} */ (event.target).value))}>
      <span class="tag left">${other.label}</span><span class="tag right">This one</span>`;
  }

  #bar() {
    const hold = (/** @type {boolean} */ on) => () => this.#cut(on ? 100 : this.at, false);
    const key = (/** @type {boolean} */ on) => (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      hold(on)();
    };
    return html`<div class="compare-bar">
      <label><span class="sr">Compare with</span><select @change=${(/** @type {Event} */ event) => this.#choose(/** @type {HTMLSelectElement} */ (event.target).selectedIndex)}>
        ${this.others.map((one) => html`<option ?selected=${one === this.other}>${one.label}</option>`)}
      </select></label>
      <button class="button quiet" type="button" @pointerdown=${hold(true)} @pointerup=${hold(false)} @pointerleave=${hold(false)} @keydown=${key(true)} @keyup=${key(false)} @contextmenu=${(/** @type {Event} */ event) => event.preventDefault()}>Hold to see the other</button>
      <button class="button quiet" type="button" @click=${() => this.toggle()}>Done</button>
    </div>`;
  }

  /** @param {number} index */
  #choose(index) {
    this.other = this.others[index];
    this.#draw();
  }

  /**
   * @param {number} at  % from the left
   * @param {boolean} [stays]
   */
  #cut(at, stays = true) {
    if (stays) this.at = at;
    const other = this.layer.querySelector("img");
    const line = this.layer.querySelector(".divider");
    if (other) other.style.clipPath = `inset(0 ${100 - at}% 0 0)`;
    if (line instanceof HTMLElement) line.style.left = `${at}%`;
  }
}
