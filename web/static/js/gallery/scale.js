// The scale of months at the side: links to each, and a line that can be dragged.
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { monthName } from "../core/text.js";
import { find, startOf, total } from "./blocks.js";

/** @import {Block} from "./blocks.js" */

const APART = 24; // px between two labels
const SHORT = new Intl.DateTimeFormat("en", { month: "short", timeZone: "UTC" });

/**
 * The months that get a label: the first, each that begins a year in the list, others where there is room. Pure.
 * @param {Block[]} blocks
 * @param {number} height  px
 */
export function labels(blocks, height) {
  const all = total(blocks) || 1;
  const marks = blocks.map(({ month }, number) => {
    const year = month?.slice(0, 4) ?? "";
    return { month: month ?? "", year, isYear: number === 0 || blocks[number - 1]?.month?.slice(0, 4) !== year, top: (startOf(blocks, number) / all) * height };
  });
  /** @type {typeof marks} */
  const shown = [];
  const fits = (/** @type {number} */ top) => shown.every((other) => Math.abs(other.top - top) >= APART);
  for (const mark of marks) if (mark.isYear && fits(mark.top)) shown.push(mark);
  for (const mark of marks) if (!mark.isYear && fits(mark.top)) shown.push(mark);
  return shown.sort((a, b) => a.top - b.top);
}

export class Scale {
  /**
   * @param {(index: number) => void} onGo
   */
  constructor(onGo) {
    this.onGo = onGo;
    /** @type {Block[]} */
    this.blocks = [];
    this.at = 0;
    this.drawn = "";
    this.place = document.createElement("nav");
    this.place.className = "scale";
    this.place.setAttribute("aria-label", "Months");
    document.querySelector("main")?.append(this.place);
    this.place.addEventListener("pointerdown", (event) => this.#drag(event));
    addEventListener("resize", () => this.draw(this.blocks, this.at));
  }

  /**
   * @param {Block[]} blocks
   * @param {number} index  of the first picture that is seen
   */
  draw(blocks, index) {
    this.blocks = blocks;
    this.at = index;
    this.place.hidden = blocks.length < 2;
    document.getElementById("gallery")?.classList.toggle("scaled", !this.place.hidden); // room beside the cells
    if (this.place.hidden) return;
    const here = blocks[find(blocks, index).number]?.month ?? "";
    const height = this.place.clientHeight;
    const state = `${here} ${height} ${blocks.length} ${total(blocks)}`;
    if (state !== this.drawn) this.#labels(here, height);
    this.drawn = state;
    const top = `${(index / (total(blocks) || 1)) * height}px`;
    for (const mark of this.place.querySelectorAll("span")) mark.style.top = top;
  }

  /**
   * @param {string} here  the month that is seen
   * @param {number} height
   */
  #labels(here, height) {
    const { blocks } = this;
    const shown = labels(blocks, height);
    render(
      html`${shown.map((one) => html`<a href="#${one.month}" class=${one.isYear ? "year" : ""} aria-label="${SHORT.format(new Date(`${one.month}-15`))} ${one.year}" aria-current=${one.month === here ? "true" : nothing}
          @click=${(/** @type {Event} */ event) => this.#go(event, one.month)}>${one.isYear ? one.year : SHORT.format(new Date(`${one.month}-15`))}</a>`)}
        <span class="thumb"></span><span class="bubble" aria-hidden="true">${monthName(here)}</span>`,
      this.place,
    );
    for (const [number, link] of this.place.querySelectorAll("a").entries()) link.style.top = `${shown[number]?.top ?? 0}px`;
  }

  /**
   * @param {Event} event
   * @param {string} month
   */
  #go(event, month) {
    event.preventDefault();
    this.onGo(startOf(this.blocks, this.blocks.findIndex((block) => block.month === month)));
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (event.button !== 0) return;
    const from = event.clientY;
    let moved = false;
    const move = (/** @type {PointerEvent} */ { clientY, pointerId }) => {
      if (!moved && Math.abs(clientY - from) < 4) return;
      moved = true;
      this.place.setPointerCapture(pointerId);
      this.place.classList.add("moving");
      const box = this.place.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (clientY - box.top) / box.height));
      this.onGo(Math.floor(share * (total(this.blocks) - 1)));
    };
    const end = () => {
      this.place.classList.remove("moving");
      this.place.removeEventListener("pointermove", move);
      if (moved) this.place.addEventListener("click", (click) => click.preventDefault(), { once: true, capture: true });
    };
    this.place.addEventListener("pointermove", move);
    addEventListener("pointerup", end, { once: true });
  }
}
