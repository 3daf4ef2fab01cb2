// Draws the cells that are seen, whatever the number of pictures, and moves the focus among them by keys.
import { oncePerFrame, Rows } from "../core/page.js";
import { layoutOf, placeOf, rowsIn, segmentHeights } from "./layout.js";
import { tileCell } from "./tile.js";

/** @import {Layout} from "./layout.js" */
/** @import {Selection} from "./selection.js" */
/** @import {Source} from "./source.js" */
/** @import {TileTools} from "./tile.js" */

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
    const { segment, top } = placeOf(this.layout, row);
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
