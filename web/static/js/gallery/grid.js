// Draws the cells that are seen, whatever the number of pictures, and moves the focus among them by keys.
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { videoLength, icon, oncePerFrame, Rows } from "../core/page.js";
import { timeLeft } from "../core/text.js";

/** @import {Tile} from "../types.js" */
/** @import {Selection, Source} from "./source.js" */

// Where each cell of the gallery lies. All cells are equal, so this is arithmetic. Pure.

const SEGMENT = 900_000; // px at most: browsers cut boxes at 2²⁴ device px
export const MOST_TILES = 400; // in the document at once

/** @typedef {{columns: number, rows: number, pitch: number, perSegment: number, height: number}} Layout */

/**
 * @param {number} total  cells
 * @param {number} columns
 * @param {number} pitch  px from the top of a row to the top of the next
 * @returns {Layout}
 */
export function layoutOf(total, columns, pitch) {
  const rows = Math.ceil(total / columns);
  return { columns, rows, pitch, perSegment: Math.max(1, Math.floor(SEGMENT / pitch)), height: rows * pitch };
}

/**
 * The heights of the boxes that the rows are spread over.
 * @param {Layout} layout
 */
export function segmentHeights({ rows, perSegment, pitch }) {
  const count = Math.ceil(rows / perSegment);
  return Array.from({ length: count }, (_, index) => Math.min(perSegment, rows - index * perSegment) * pitch);
}

/**
 * The first and the last row (not included) that are drawn: what is seen, and `ahead` rows on both sides as far
 * as MOST_TILES allow.
 * @param {Layout} layout
 * @param {number} top  px above the window, within the gallery
 * @param {number} view  px that are seen
 * @param {number} ahead
 * @returns {[number, number]}
 */
export function rowsIn({ columns, rows, pitch }, top, view, ahead) {
  const most = Math.max(1, Math.floor(MOST_TILES / columns));
  const seen = Math.min(most, Math.ceil(view / pitch) + 1);
  const begin = Math.max(0, Math.min(Math.floor(top / pitch), rows - seen));
  const before = Math.min(ahead, Math.floor((most - seen) / 2), begin);
  const last = Math.min(rows, begin + seen + Math.min(ahead, most - seen - before));
  return [begin - before, last];
}

/**
 * The segment of a row, and the row's px from that segment's top.
 * @param {Layout} layout
 * @param {number} row
 */
export function rowPlace({ perSegment, pitch }, row) {
  const segment = Math.floor(row / perSegment);
  return { segment, top: (row - segment * perSegment) * pitch };
}

// One cell of the gallery: the picture whole, a mark to choose it, a heart.

/**
 * @typedef {object} TileTools
 * @property {(event: MouseEvent, index: number) => void} press
 * @property {((event: MouseEvent, index: number) => void) | null} mark  null where nothing is chosen
 * @property {(index: number) => void} like
 */

/**
 * @param {Tile | undefined} tile  undefined = not read yet
 * @param {number} index
 * @param {{chosen: boolean, current: boolean, total: number | null}} state
 * @param {TileTools} tools
 */
function tileCell(tile, index, { chosen, current, total }, tools) {
  const stop = current ? 0 : -1; // one stop for Tab, arrows do the rest
  if (!tile) return html`<li class="tile" data-index=${index} aria-posinset=${index + 1} aria-setsize=${total ?? -1}></li>`;
  const look = `tile ${chosen ? "chosen" : ""} ${tile.visibility === "spoiler" ? "veiled" : ""} ${tile.visibility === "block" ? "blocked" : ""}`;
  return html`<li class=${look} data-index=${index} aria-posinset=${index + 1} aria-setsize=${total ?? -1}>
    <a href=${tile.href} tabindex=${stop} aria-label=${tile.visibility === "block" ? "Hidden by a rule of this studio" : nothing}
      @click=${(/** @type {MouseEvent} */ event) => tools.press(event, index)}>${inside(tile)}</a>
    ${tile.visibility === "spoiler" ? html`<label class="veil"><input type="checkbox" tabindex=${stop} aria-label="Show this picture, which may be sensitive">${icon("hidden")}Show it</label>` : nothing}
    ${tools.mark ? html`<button class="mark" type="button" tabindex=${stop} role="checkbox" aria-checked=${chosen} aria-label="Select: ${tile.alt}" @click=${(/** @type {MouseEvent} */ event) => tools.mark?.(event, index)}>${icon("check")}</button>` : nothing}
    ${tile.ends
      ? html`<span class="ends length" title="Deleted for good">${timeLeft(tile.ends)}</span>`
      : html`<button class="like" type="button" tabindex=${stop} aria-pressed=${tile.favourite} aria-label="Favourite: ${tile.alt}" @click=${() => tools.like(index)}>${icon("heart")}</button>
          <button class="alike" type="button" tabindex=${stop} title="More like this" aria-label="More like: ${tile.alt}" @click=${() => location.assign(`/pictures?q=like:${tile.job}/${tile.n}`)}>${icon("similar")}</button>`}
  </li>`;
}

/** @param {Tile} tile */
function inside(tile) {
  if (tile.visibility === "block") return html`<span class="blocked-words">${icon("block")}<span>Hidden by a rule of this studio</span></span>`;
  return html`<img src=${tile.small} width=${tile.width} height=${tile.height} alt=${tile.alt} draggable="true">${tile.seconds ? videoLength(tile.seconds) : nothing}`;
}

const AHEAD = 2; // rows drawn above and below what is seen
const RUSH = 0.6; // of the window's height that lie between two frames when somebody flies past
const REST = 90; // ms without such a leap until pictures are drawn again

export class Grid {
  /**
   * @param {HTMLElement} place
   * @param {Source} source
   * @param {Selection} selection
   * @param {TileTools} tools
   */
  constructor(place, source, selection, tools) {
    this.place = place;
    this.source = source;
    this.selection = selection;
    this.tools = tools;
    /** The cell that Tab comes to, and the nearest one that is drawn. */
    this.current = this.stop = 0;
    /** The focus was here, and what had it is gone. */
    this.holds = false;
    this.track = document.createElement("div");
    this.window = document.createElement("ul");
    this.window.className = "tiles window";
    this.window.setAttribute("aria-label", "Pictures");
    /** @type {Rows<number>} */
    this.cells = new Rows(this.window, (index) => index, (index) => this.#cell(index));
    place.replaceChildren(this.track);
    this.track.append(this.window);
    this.heights = "";
    this.lastTop = scrollY;
    /** @type {ReturnType<typeof setTimeout> | undefined} while somebody flies past */
    this.rush = undefined;
    this.layout = /** @type {Layout} */ (layoutOf(source.total, 1, 1));
    this.draw = oncePerFrame(() => this.#draw());
    addEventListener("scroll", this.draw, { passive: true });
    new ResizeObserver(() => this.#resized()).observe(place);
    this.window.addEventListener("keydown", (event) => this.#key(event));
    this.window.addEventListener("focusin", (event) => this.#focused(event));
  }

  /** @param {Source} source @param {number} [current]  the cell that Tab comes to, and the focus if it is here */
  show(source, current = 0) {
    this.source = source;
    this.current = current;
    this.draw();
  }

  /** Whether the focus is here, or was when what had it went. */
  get isHeld() {
    return this.holds || this.has(document.activeElement);
  }

  /** @param {Element | null} child */
  has(child) {
    return this.window.contains(child);
  }

  /** The place of the first cell that is seen. */
  get first() {
    return Math.max(0, Math.round(this.#top() / this.layout.pitch)) * this.layout.columns;
  }

  /** @param {number} index */
  scrollTo(index) {
    this.#move(index);
    this.#draw();
  }

  /**
   * Scroll to a picture that somebody has chosen: it is read at once, where others may be flown past.
   * @param {number} index
   */
  jumpTo(index) {
    this.#move(index);
    clearTimeout(this.rush);
    this.rush = undefined;
    this.lastTop = scrollY;
    this.#draw();
  }

  /** @param {number} index */
  #move(index) {
    this.#measure();
    this.#segments();
    const row = Math.floor(index / this.layout.columns);
    scrollTo({ top: index ? row * this.layout.pitch + this.#offset() : 0, behavior: "instant" });
  }

  /** px of the gallery's top in the document, less what the prompt bar covers. */
  #offset() {
    const bar = document.querySelector(".bar-place")?.getBoundingClientRect().height ?? 0;
    return this.place.getBoundingClientRect().top + scrollY - bar;
  }

  #top() {
    return Math.max(0, scrollY - this.#offset());
  }

  #resized() {
    const first = this.first;
    this.#measure();
    if (first) this.scrollTo(first);
    this.draw();
  }

  /** The style sheet chooses the columns; read them off. */
  #measure() {
    const style = getComputedStyle(this.window);
    const columns = style.gridTemplateColumns.split(" ").length;
    const [between, below] = [parseFloat(style.columnGap) || 0, parseFloat(style.rowGap) || 0]; // "normal" is none
    const side = (this.window.clientWidth - (columns - 1) * between) / columns;
    this.layout = layoutOf(this.source.total, columns, side + below);
  }

  #draw() {
    this.#measure();
    this.#segments();
    const { columns } = this.layout;
    const [begin, end] = rowsIn(this.layout, this.#top(), innerHeight, AHEAD);
    const [first, last] = [begin * columns, Math.min(end * columns, this.source.total)];
    this.#place(begin);
    this.#pace();
    if (this.rush === undefined) this.source.want(first, last);
    const indexes = Array.from({ length: Math.max(0, last - first) }, (_, k) => first + k);
    const current = (this.stop = Math.min(Math.max(this.current, first), Math.max(first, last - 1)));
    this.holds ||= this.has(document.activeElement);
    this.cells.draw(indexes);
    this.#hold(current);
  }

  /**
   * Give the focus back that a picture took along when it went, as soon as another is there.
   * @param {number} current
   */
  #hold(current) {
    if (document.activeElement !== document.body) this.holds = false;
    const link = this.holds ? this.window.querySelector(`[data-index="${current}"] a`) : null;
    if (!(link instanceof HTMLElement)) return;
    this.holds = false;
    link.focus({ preventScroll: true });
  }

  /** @param {number} index */
  #cell(index) {
    const tile = this.rush === undefined ? this.source.at(index) : undefined;
    const state = { chosen: Boolean(tile && this.selection.has(tile)), current: index === this.stop, total: this.source.isOpen ? null : this.source.total };
    return tileCell(tile, index, state, this.tools);
  }

  /** Boxes are enough for whoever flies past; what they stop at is drawn. */
  #pace() {
    const leap = Math.abs(scrollY - this.lastTop) > RUSH * innerHeight;
    this.lastTop = scrollY;
    if (!leap) return;
    clearTimeout(this.rush);
    this.rush = setTimeout(() => {
      this.rush = undefined;
      this.draw();
    }, REST);
  }

  #segments() {
    const heights = segmentHeights(this.layout);
    if (heights.join() === this.heights) return;
    this.heights = heights.join();
    const boxes = heights.map((height) => {
      const box = document.createElement("div");
      box.className = "segment";
      box.style.height = `${height}px`;
      return box;
    });
    this.track.replaceChildren(...boxes);
    this.#place(0);
  }

  /** @param {number} row */
  #place(row) {
    const { segment, top } = rowPlace(this.layout, row);
    const box = this.track.querySelectorAll(":scope > .segment")[segment] ?? this.track; // none: nothing to show
    if (this.window.parentElement !== box) moveInto(box, this.window);
    this.window.style.transform = `translateY(${top}px)`;
  }

  /** @param {FocusEvent} event */
  #focused({ target }) {
    const cell = target instanceof Element ? target.closest("[data-index]") : null;
    if (!cell) return;
    this.current = Number(cell.getAttribute("data-index"));
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { columns } = this.layout;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.focus(Math.max(0, Math.min(this.source.total - 1, this.current + step)));
  }

  /** @param {number} index */
  focus(index) {
    this.current = index;
    const row = Math.floor(index / this.layout.columns) * this.layout.pitch;
    const top = this.#top();
    const room = innerHeight - (document.querySelector(".bar-place")?.clientHeight ?? 0) - this.layout.pitch;
    if (row < top) scrollTo({ top: row + this.#offset(), behavior: "instant" });
    else if (row > top + room) scrollTo({ top: row - room + this.#offset(), behavior: "instant" });
    this.#draw();
    const link = this.window.querySelector(`[data-index="${index}"] a`);
    if (link instanceof HTMLElement) link.focus({ preventScroll: true });
  }
}

/**
 * Move an element without losing the focus inside it, where the browser can.
 * @param {Element} box
 * @param {Element} child
 */
function moveInto(box, child) {
  const focused = document.activeElement;
  box.append(child);
  if (focused instanceof HTMLElement && child.contains(focused)) focused.focus({ preventScroll: true });
}

const LONG = 450; // ms
const STILL = 10; // px that a finger may move meanwhile

/**
 * Let a long press on a phone choose a picture, as it does in other galleries.
 * @param {HTMLElement} place
 * @param {(index: number) => void} work
 */
export function onLongPress(place, work) {
  let pressed = false;
  place.addEventListener("pointerdown", (event) => {
    pressed = false;
    const cell = event.target instanceof Element ? event.target.closest("[data-index]") : null;
    if (event.pointerType !== "touch" || !cell) return;
    const timer = setTimeout(() => {
      pressed = true;
      work(Number(cell.getAttribute("data-index")));
    }, LONG);
    const stop = () => clearTimeout(timer);
    const move = (/** @type {PointerEvent} */ now) => Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) > STILL && stop();
    place.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) {
      addEventListener(name, () => { stop(); place.removeEventListener("pointermove", move); }, { once: true });
    }
  });
  const swallow = (/** @type {Event} */ event) => {
    if (!pressed) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.type === "click") pressed = false;
  };
  place.addEventListener("click", swallow, true);
  place.addEventListener("contextmenu", swallow, true);
}
