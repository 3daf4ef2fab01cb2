// Draws the pictures that are seen, whatever their number, in rows of one height that fill the width, and moves the focus among them by keys.
import { nothing } from "../../vendor/lit-html/lit-html.js";
import { videoLength, icon, oncePerFrame, Rows } from "../core/page.js";
import { LOCALE, html, t, timeLeft } from "../core/text.js";
import { groupAt } from "./source.js";

/** @import {TemplateResult} from "../../vendor/lit-html/lit-html.js" */
/** @import {Tile} from "../types.js" */
/** @import {Group, Selection, Source} from "./source.js" */

// Where each picture lies: known from the shapes of all before one is read, so that nothing moves later. Pure.

const SEGMENT = 900_000; // px at most: browsers cut boxes at 2²⁴ device px
export const MOST_TILES = 400; // in the document at once
const HEAD = 44; // px of the line that names a day
const LEAST_FIT = 0.6; // of its height to which a row shrinks so that one or two pictures aren't left alone
const MOST_FIT = 1.35; // times its height to which the last row of a day grows

/** A row of pictures, or the line above a day's, which has none. `exact`: its height before it was rounded. `group`: its day's number. */
/** @typedef {{top: number, height: number, exact: number, begin: number, end: number, group: number}} Line */
/** @typedef {{width: number, rowHeight: number, gap: number}} Look */

/**
 * The rows of all pictures: each takes as many as bring its height nearest to the wanted one.
 * @param {Pick<Source, "groups" | "ratios" | "isOpen">} source
 * @param {Look} look
 * @returns {Line[]}
 */
export function linesOf({ groups, ratios, isOpen }, { width, rowHeight, gap }) {
  /** @type {Line[]} */
  const lines = [];
  let top = 0;
  const ratio = (/** @type {number} */ index) => ratios[index] ?? 1;
  const fit = (/** @type {number} */ sum, /** @type {number} */ count) => (width - gap * (count - 1)) / (sum * rowHeight);
  for (const [group, { day, start, count }] of groups.entries()) {
    if (day) {
      lines.push({ top, height: HEAD, exact: HEAD, begin: start, end: start, group });
      top += HEAD;
    }
    const stop = start + count;
    for (let begin = start; begin < stop; ) {
      let [end, sum] = [begin + 1, ratio(begin)];
      for (; end < stop; end += 1) {
        const [now, next] = [fit(sum, end - begin), fit(sum + ratio(end), end - begin + 1)];
        if (now <= 1 || now * next < 1) break; // as it is, it is nearer to the wanted height
        sum += ratio(end);
      }
      if (stop - end === 1 || stop - end === 2) {
        const all = sum + ratio(end) + (stop - end === 2 ? ratio(end + 1) : 0);
        if (!isOpen && fit(all, stop - begin) >= LEAST_FIT) [end, sum] = [stop, all];
      }
      const filled = fit(sum, end - begin);
      if (end === stop && isOpen && filled > 1 && lines.length) break; // its other pictures are still to come
      const scale = end < stop ? Math.min(filled, 2) : filled > MOST_FIT ? 1 : filled;
      const exact = rowHeight * scale;
      const height = Math.round(exact);
      lines.push({ top, height, exact, begin, end, group });
      top += height + gap;
      begin = end;
    }
  }
  return lines;
}

/** px of all lines. @param {Line[]} lines */
export const heightOf = (lines) => (lines.at(-1)?.top ?? 0) + (lines.at(-1)?.height ?? 0);

/**
 * The first line, as its number, that ends below a place; the last where none does.
 * @param {Line[]} lines
 * @param {number} top  px
 */
export function lineAt(lines, top) {
  let [low, high] = [0, lines.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    const line = lines[middle];
    if (line && line.top + line.height > top) high = middle;
    else low = middle + 1;
  }
  return Math.max(0, low);
}

/**
 * The row of a picture, as its number.
 * @param {Line[]} lines
 * @param {number} index
 */
export function lineOf(lines, index) {
  let [low, high] = [0, lines.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((lines[middle]?.end ?? 0) > index) high = middle;
    else low = middle + 1;
  }
  return Math.max(0, low);
}

/**
 * The first and the last line (not included) that are drawn: what is seen, and about `ahead` px on both sides as far
 * as MOST_TILES allow.
 * @param {Line[]} lines
 * @param {number} top  px above the window, within the gallery
 * @param {number} view  px that are seen
 * @param {number} ahead
 * @returns {[number, number]}
 */
export function linesIn(lines, top, view, ahead) {
  if (!lines.length) return [0, 0];
  let [first, last] = [lineAt(lines, top), lineAt(lines, top + view) + 1];
  let tiles = (lines[last - 1]?.end ?? 0) - (lines[first]?.begin ?? 0);
  const [from, to] = [lineAt(lines, top - ahead), lineAt(lines, top + view + ahead) + 1];
  const room = (/** @type {number} */ line) => tiles + (lines[line]?.end ?? 0) - (lines[line]?.begin ?? 0) <= MOST_TILES;
  const take = (/** @type {number} */ line) => (tiles += (lines[line]?.end ?? 0) - (lines[line]?.begin ?? 0));
  while (last < to && room(last)) take(last++);
  while (first > from && room(first - 1)) take(--first);
  return [first, last];
}

/**
 * Where the pictures of a row lie.
 * @param {Line} line
 * @param {number[]} ratios
 * @param {number} gap
 */
export function placesIn({ exact, begin, end }, ratios, gap) {
  let left = 0;
  return ratios.slice(begin, end).map((ratio) => {
    const place = { left: Math.round(left), width: Math.round(left + ratio * exact) - Math.round(left) };
    left += ratio * exact + gap;
    return place;
  });
}

// One picture, and the line above a day's

/**
 * @typedef {object} TileTools
 * @property {(event: MouseEvent, index: number) => void} press
 * @property {(event: MouseEvent, index: number) => void} mark
 * @property {(group: Group) => void} markDay
 */

const DATE = new Intl.DateTimeFormat(LOCALE, { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" });
const DATE_OF_YEAR = new Intl.DateTimeFormat(LOCALE, { weekday: "short", day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/**
 * A day as people say it.
 * @param {string} day  "2026-11-26"
 * @param {Date} [now]
 */
export function dayName(day, now = new Date()) {
  const local = (/** @type {Date} */ date) => new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
  if (day === local(now)) return t("Today");
  if (day === local(new Date(now.getTime() - 86_400_000))) return t("Yesterday");
  return (day.slice(0, 4) === local(now).slice(0, 4) ? DATE : DATE_OF_YEAR).format(new Date(day));
}

/**
 * @param {Tile | undefined} tile  undefined = not read yet
 * @param {number} index
 * @param {{place: string, large: boolean, chosen: boolean, current: boolean, total: number | null}} state
 * @param {TileTools} tools
 */
function tileCell(tile, index, { place, large, chosen, current, total }, tools) {
  const stop = current ? 0 : -1; // one stop for Tab, arrows do the rest
  if (!tile) return html`<li class="tile" .style=${place} data-index=${index} aria-posinset=${index + 1} aria-setsize=${total ?? -1}></li>`;
  const look = `tile ${chosen ? "chosen" : ""} ${tile.visibility === "spoiler" ? "veiled" : ""} ${tile.visibility === "block" ? "blocked" : ""}`;
  return html`<li class=${look} .style=${place} data-index=${index} aria-posinset=${index + 1} aria-setsize=${total ?? -1}>
    <a href=${tile.href} tabindex=${stop} aria-label=${tile.visibility === "block" ? t("Hidden by a rule of this studio") : nothing}
      @click=${(/** @type {MouseEvent} */ event) => tools.press(event, index)}>${inside(tile, large)}</a>
    ${tile.visibility === "spoiler" ? html`<label class="veil"><input type="checkbox" tabindex=${stop} aria-label="Show this picture, which may be sensitive">${icon("hidden")}Show it</label>` : nothing}
    <button class="mark" type="button" tabindex=${stop} role="checkbox" aria-checked=${chosen} aria-label="Select: ${tile.alt}" @click=${(/** @type {MouseEvent} */ event) => tools.mark(event, index)}>${icon("check")}</button>
    ${tile.ends ? html`<span class="ends length" title="Deleted for good">${timeLeft(tile.ends)}</span>` : nothing}
  </li>`;
}

/** @param {Tile} tile @param {boolean} large  more than 256 px of it are shown */
function inside(tile, large) {
  if (tile.visibility === "block") return html`<span class="blocked-words">${icon("block")}<span>Hidden by a rule of this studio</span></span>`;
  return html`<img src=${large ? tile.thumb : tile.small} width=${tile.width} height=${tile.height} alt=${tile.alt} draggable="true">${tile.seconds ? videoLength(tile.seconds) : nothing}
    ${tile.favourite ? html`<span class="kept">${icon("heart")}<span class="sr">, a favourite</span></span>` : nothing}`;
}

/**
 * @param {Group} group
 * @param {string} place
 * @param {boolean} chosen
 * @param {TileTools} tools
 */
const dayLine = (group, place, chosen, tools) => html`<li class="day" .style=${place}>
  <label><input type="checkbox" .checked=${chosen} aria-label="Select ${dayName(group.day)}" @change=${() => tools.markDay(group)}><span>${dayName(group.day)}</span></label>
</li>`;

export const SIZES = [120, 200, 320]; // px that a row is high, about
const SHARES = [4, 3, 2]; // of these squares a row has at least
const SMALL = 256; // px of a small copy's longer side
const RUSH = 0.6; // of the window's height that lie between two frames when somebody flies past
const REST = 90; // ms without such a leap until pictures are drawn again

export class Grid {
  /**
   * @param {HTMLElement} place
   * @param {Source} source
   * @param {Selection} selection
   * @param {TileTools} tools
   * @param {number} [size]  one of SIZES, as its number
   */
  constructor(place, source, selection, tools, size = SIZES.length - 1) {
    this.place = place;
    this.source = source;
    this.selection = selection;
    this.tools = tools;
    this.size = size;
    /** The picture that Tab comes to, and the nearest one that is drawn. */
    this.current = this.stop = 0;
    /** The focus was here, and what had it is gone. */
    this.holds = false;
    this.track = document.createElement("div");
    this.window = document.createElement("ul");
    this.window.className = "window";
    this.window.setAttribute("aria-label", t("Pictures"));
    /** @type {Rows<number>} pictures by their place, days by -1 less their number */
    this.cells = new Rows(this.window, (key) => key, (key) => this.#drawn(key));
    place.replaceChildren(this.track);
    this.track.append(this.window);
    this.lastTop = scrollY;
    /** @type {ReturnType<typeof setTimeout> | undefined} while somebody flies past */
    this.rush = undefined;
    /** @type {Line[]} */
    this.lines = [];
    /** @type {Look} */
    this.look = { width: 0, rowHeight: 1, gap: 0 };
    /** @type {Map<number, {place: string, large: boolean}>} where what is drawn lies, by key */
    this.places = new Map();
    this.state = "";
    this.draw = oncePerFrame(() => this.#draw());
    addEventListener("scroll", this.draw, { passive: true });
    new ResizeObserver(this.draw).observe(place);
    this.window.addEventListener("keydown", (event) => this.#key(event));
    this.window.addEventListener("focusin", (event) => this.#focused(event));
  }

  /** @param {Source} source @param {number} [current]  the picture that Tab comes to, and the focus if it is here */
  show(source, current = 0) {
    this.source = source;
    this.current = current;
    this.state = "";
    this.draw();
  }

  /** Take all pictures away: others come, which aren't the same that have moved. */
  clear() {
    this.cells.draw([]);
  }

  /** Whether the focus is here, or was when what had it went. */
  get isHeld() {
    return this.holds || this.has(document.activeElement);
  }

  /** @param {Element | null} child */
  has(child) {
    return this.window.contains(child);
  }

  /** px of all rows. */
  get height() {
    return heightOf(this.lines);
  }

  /** px from the top of the first row to that of a picture. @param {number} index */
  topOf(index) {
    return this.lines[lineOf(this.lines, index)]?.top ?? 0;
  }

  /** px of the rows that lie above what is seen. */
  get top() {
    return this.#top();
  }

  /** The first picture of the row below a picture's. @param {number} index */
  below(index) {
    const line = this.lines.slice(lineOf(this.lines, index) + 1).find(({ begin, end }) => end > begin);
    return line?.begin ?? index;
  }

  /** The first picture that is seen. */
  get first() {
    return this.at.index;
  }

  /** Where the reader is: the first picture that is seen, and how many px of its row aren't; less than 0 below its day. */
  get at() {
    const top = this.#top();
    const index = Math.min(this.indexAt(top), Math.max(0, this.source.total - 1));
    return { index, off: top - this.topOf(index) };
  }

  /** The picture that lies so many px below the top of the first row. @param {number} top */
  indexAt(top) {
    return this.lines[lineAt(this.lines, top)]?.begin ?? 0;
  }

  /** @param {number} index @param {number} [off]  px of its row that aren't seen */
  scrollTo(index, off = 0) {
    this.#measure();
    const top = this.lines[lineOf(this.lines, index)]?.top ?? 0;
    scrollTo({ top: index || off ? top + off + this.#offset() : 0, behavior: "instant" });
    this.#draw();
  }

  /** @param {number} top  px below the top of the first row */
  scrollToTop(top) {
    scrollTo({ top: top + this.#offset(), behavior: "instant" });
    this.#draw();
  }

  /**
   * Scroll to a picture that somebody has chosen: it is read at once, where others may be flown past.
   * @param {number} index
   */
  jumpTo(index) {
    this.scrollTo(index, -HEAD);
    this.#rest();
    this.#draw();
  }

  /**
   * Show larger or smaller pictures; the one at a point of the window stays there.
   * @param {number} size
   * @param {{x: number, y: number}} [point]
   */
  resize(size, point) {
    const cell = point && document.elementFromPoint(point.x, point.y)?.closest("[data-index]");
    const box = cell?.getBoundingClientRect();
    const index = cell ? Number(cell.getAttribute("data-index")) : this.first;
    const share = box && point ? (point.y - box.top) / box.height : 0;
    const y = point && box ? point.y : this.#offset() - scrollY + this.place.getBoundingClientRect().top;
    this.size = size;
    this.holds ||= this.has(document.activeElement);
    this.clear(); // drawn anew, none seems to have moved from where another is
    this.#measure();
    const line = this.lines[lineOf(this.lines, index)];
    if (line && (box || this.first)) scrollTo({ top: this.place.getBoundingClientRect().top + scrollY + line.top + share * line.height - y, behavior: "instant" });
    this.#rest();
    this.#draw();
  }

  /** px of the gallery's top in the document, less what the prompt bar covers. */
  #offset() {
    return this.place.getBoundingClientRect().top + scrollY - this.#covered();
  }

  #covered() {
    return document.querySelector(".bar-place")?.getBoundingClientRect().height ?? 0;
  }

  #top() {
    return Math.max(0, scrollY - this.#offset());
  }

  /** Lay all rows out anew, if anything is other than it was. In another width the reader stays where they are. */
  #measure() {
    const width = this.place.clientWidth - parseFloat(getComputedStyle(this.place).paddingRight || "0");
    const rowHeight = Math.min(SIZES[this.size] ?? 200, width / (SHARES[this.size] ?? 2));
    const { source } = this;
    const state = `${width} ${this.size} ${source.version} ${source.total} ${source.isOpen}`;
    if (state === this.state) return;
    const { index, off } = this.at;
    const stays = width !== this.look.width && this.lines.length && index ? index : 0;
    this.state = state;
    this.look = { width, rowHeight, gap: width < 640 ? 3 : 6 };
    this.lines = width ? linesOf(source, this.look) : [];
    const heights = [];
    for (let left = this.height; left > 0; left -= SEGMENT) heights.push(Math.min(left, SEGMENT));
    while (this.track.querySelectorAll(":scope > .segment").length > heights.length) this.track.lastElementChild?.remove();
    for (const [number, height] of heights.entries()) {
      const box = this.track.querySelectorAll(":scope > .segment")[number] ?? this.track.appendChild(document.createElement("div"));
      box.className = "segment";
      /** @type {HTMLElement} */ (box).style.height = `${height}px`;
    }
    if (!heights.length) this.track.replaceChildren(this.window);
    else if (!this.window.isConnected) this.track.firstElementChild?.append(this.window);
    if (stays) scrollTo({ top: this.topOf(stays) + off + this.#offset(), behavior: "instant" });
  }

  #draw() {
    this.#measure();
    const top = this.#top();
    const [first, last] = linesIn(this.lines, top, innerHeight, innerHeight / 2);
    const shown = this.lines.slice(first, last);
    const [begin, end] = [shown[0]?.begin ?? 0, shown.at(-1)?.end ?? 0];
    this.#pace();
    if (this.rush === undefined) this.source.want(begin, last === this.lines.length ? this.source.total : end);
    const segment = Math.floor((shown[0]?.top ?? 0) / SEGMENT);
    const box = this.track.querySelectorAll(":scope > .segment")[segment] ?? this.track; // none: nothing to show
    if (this.window.parentElement !== box) moveInto(box, this.window);
    const keys = this.#lay(shown, segment * SEGMENT);
    const current = (this.stop = Math.min(Math.max(this.current, begin), Math.max(begin, end - 1)));
    this.holds ||= this.has(document.activeElement);
    this.cells.draw(keys);
    this.#hold(current);
  }

  /**
   * Note where what is drawn lies. Returns its keys in their order.
   * @param {Line[]} lines
   * @param {number} from  px where their segment begins
   */
  #lay(lines, from) {
    const enough = SMALL / devicePixelRatio;
    this.places.clear();
    for (const line of lines) {
      const [top, height] = [`top:${line.top - from}px`, `height:${line.height}px`];
      if (line.begin === line.end) this.places.set(-1 - line.group, { place: `${top};${height}`, large: false });
      for (const [number, { left, width }] of placesIn(line, this.source.ratios, this.look.gap).entries()) {
        this.places.set(line.begin + number, { place: `${top};${height};left:${left}px;width:${width}px`, large: Math.max(width, line.height) > enough });
      }
    }
    return [...this.places.keys()];
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

  /** @param {number} key @returns {TemplateResult} */
  #drawn(key) {
    const { place, large } = this.places.get(key) ?? { place: "", large: false };
    if (key < 0) {
      const group = /** @type {Group} */ (this.source.groups[-1 - key]);
      return dayLine(group, place, this.#isChosen(group), this.tools);
    }
    const tile = this.rush === undefined ? this.source.at(key) : undefined;
    const state = { place, large, chosen: Boolean(tile && this.selection.has(tile)), current: key === this.stop, total: this.source.isOpen ? null : this.source.total };
    return tileCell(tile, key, state, this.tools);
  }

  /** @param {Group} group */
  #isChosen({ start, count }) {
    if (!this.selection.size) return false;
    for (let index = start; index < start + count; index += 1) {
      const tile = this.source.at(index);
      if (!tile || !this.selection.has(tile)) return false;
    }
    return true;
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

  #rest() {
    clearTimeout(this.rush);
    this.rush = undefined;
    this.lastTop = scrollY;
  }

  /** @param {FocusEvent} event */
  #focused({ target }) {
    const cell = target instanceof Element ? target.closest("[data-index]") : null;
    const index = Number(cell?.getAttribute("data-index") ?? this.current);
    if (index === this.current) return; // a key that leads here has drawn it
    this.current = index;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const to = this.#step(event.key);
    if (to === undefined) return;
    event.preventDefault();
    this.focus(to);
  }

  /** The picture that a key leads to from the current one. @param {string} key */
  #step(key) {
    const { current } = this;
    const last = Math.max(0, this.source.total - 1);
    if (key === "Home") return 0;
    if (key === "End") return last;
    if (key === "ArrowRight") return Math.min(last, current + 1);
    if (key === "ArrowLeft") return Math.max(0, current - 1);
    if (key !== "ArrowDown" && key !== "ArrowUp") return undefined;
    const step = key === "ArrowDown" ? 1 : -1;
    let number = lineOf(this.lines, current);
    const line = this.lines[number];
    if (!line) return current;
    const middle = (/** @type {{left: number, width: number}} */ { left, width }) => left + width / 2;
    const own = placesIn(line, this.source.ratios, this.look.gap)[current - line.begin];
    do number += step;
    while (this.lines[number]?.begin === this.lines[number]?.end && this.lines[number]);
    const next = this.lines[number];
    if (!next || !own) return step > 0 ? last : 0;
    const off = placesIn(next, this.source.ratios, this.look.gap).map((place) => Math.abs(middle(place) - middle(own)));
    return next.begin + off.indexOf(Math.min(...off));
  }

  /** @param {number} index */
  focus(index) {
    this.current = index;
    const line = this.lines[lineOf(this.lines, index)];
    if (!line) return;
    const top = this.#top();
    const room = innerHeight - this.#covered() - line.height;
    if (line.top < top) scrollTo({ top: line.top + this.#offset() - (groupAt(this.source.groups, index) !== groupAt(this.source.groups, index - 1) ? HEAD : 0), behavior: "instant" });
    else if (line.top > top + room) scrollTo({ top: line.top - room + this.#offset(), behavior: "instant" });
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

// What hands do beside pressing: choose by dragging from a mark, press for long, pinch.

const EDGE = 56; // px from the window's edge where a drag scrolls

/** @param {Event} event */
function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}

/**
 * Let a drag that begins at a mark choose all pictures from there to where the pointer is.
 * @param {HTMLElement} place
 * @param {{begin: (index: number) => void, to: (index: number) => void}} work
 */
export function onDrag(place, work) {
  place.addEventListener("pointerdown", (event) => {
    const mark = event.target instanceof Element ? event.target.closest(".mark") : null;
    if (!mark || event.button !== 0 || event.pointerType === "touch" || event.shiftKey) return;
    const from = Number(mark.closest("[data-index]")?.getAttribute("data-index"));
    let [at, y, began, timer] = [from, event.clientY, false, 0];
    const reach = (/** @type {number} */ x) => {
      const cell = document.elementFromPoint(x, y)?.closest("[data-index]");
      const index = cell ? Number(cell.getAttribute("data-index")) : at;
      if (index === at) return;
      if (!began) work.begin(from);
      began = true;
      at = index;
      work.to(index);
    };
    const move = (/** @type {PointerEvent} */ now) => {
      y = now.clientY;
      reach(now.clientX);
      cancelAnimationFrame(timer);
      const scroll = () => {
        const by = y < EDGE ? y - EDGE : y > innerHeight - EDGE ? y - innerHeight + EDGE : 0;
        if (!by) return;
        scrollBy({ top: by / 3, behavior: "instant" });
        reach(now.clientX);
        timer = requestAnimationFrame(scroll);
      };
      if (began) scroll();
    };
    const end = () => {
      cancelAnimationFrame(timer);
      removeEventListener("pointermove", move);
      if (!began) return;
      addEventListener("click", swallow, { capture: true });
      setTimeout(() => removeEventListener("click", swallow, { capture: true }));
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end, { once: true });
  });
}

const TURN = 40; // px of a wheel with Ctrl, or of two fingers on a touchpad, that make a step
const STEP_REST = 200; // ms until the next one
const PINCH = 1.3; // times the fingers' distance that make a step

/**
 * Tell of a wheel turned with Ctrl and of fingers that pinch: 1 = larger, -1 = smaller, and where.
 * @param {HTMLElement} place
 * @param {(step: 1 | -1, point: {x: number, y: number}) => void} work
 */
export function onZoom(place, work) {
  let [turned, rested, apart] = [0, 0, 0];
  place.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    if (event.timeStamp < rested) return;
    turned += event.deltaY;
    if (Math.abs(turned) < TURN) return;
    work(turned < 0 ? 1 : -1, { x: event.clientX, y: event.clientY });
    [turned, rested] = [0, event.timeStamp + STEP_REST];
  }, { passive: false });
  const fingers = (/** @type {TouchEvent} */ event) => {
    const [one, two] = event.touches;
    if (!one || !two) return void (apart = 0);
    event.preventDefault();
    const now = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
    const grown = apart ? now / apart : 1;
    if (apart && grown < PINCH && grown > 1 / PINCH) return;
    if (apart) work(grown > 1 ? 1 : -1, { x: (one.clientX + two.clientX) / 2, y: (one.clientY + two.clientY) / 2 });
    apart = now;
  };
  for (const name of /** @type {const} */ (["touchstart", "touchmove", "touchend"])) place.addEventListener(name, fingers, { passive: false });
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
  const end = (/** @type {Event} */ event) => {
    if (!pressed) return;
    swallow(event);
    if (event.type === "click") pressed = false;
  };
  place.addEventListener("click", end, true);
  place.addEventListener("contextmenu", end, true);
}
