// Ties a gallery's parts together: what is looked for, where the reader is, what is chosen, what is new.
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { keepTrail, readMonths, readPictures, untilAnswered, upload } from "../core/api.js";
import { followNews, toggleFavourite } from "../core/jobs.js";
import { elementOf, icon } from "../core/page.js";
import { monthName, showError } from "../core/text.js";
import { Grid, onLongPress } from "./grid.js";
import { anchorOf, findPlace, goneOf, indexOf, isSame, keyOf, PAGE, pageQuery, queryOf, Selection, Source, startOf, totalOf } from "./source.js";

/** @import {TemplateResult} from "../../vendor/lit-html/lit-html.js" */
/** @import {Announcer} from "../core/jobs.js" */
/** @import {Month, News, Tile} from "../types.js" */
/** @import {Block, Filters} from "./source.js" */

/**
 * @typedef {object} Tool
 * @property {(tiles: Tile[]) => string} label
 * @property {string} icon
 * @property {(tiles: Tile[]) => string} [look]
 * @property {(tiles: Tile[], button: HTMLElement) => void} work
 */

/** What can be done with all chosen pictures at once. */
class Bulk {
  /**
   * @param {Selection} selection
   * @param {() => void} changed
   * @param {Tool[]} tools
   */
  constructor(selection, changed, tools) {
    this.selection = selection;
    this.changed = changed;
    this.tools = tools;
    this.place = document.createElement("div");
    document.querySelector("main")?.append(this.place);
  }

  draw() {
    const tiles = [...this.selection.chosen.values()];
    if (!tiles.length) return render(html``, this.place);
    render(
      html`<div class="chosen-bar" role="toolbar" aria-label="Selected pictures">
        <p role="status">${tiles.length.toLocaleString("en")} selected</p>
        ${this.tools.map((tool) => this.#button(tool, tiles))}
        <button class="icon-button" type="button" title="Select none" aria-label="Select none" @click=${() => this.clear()}>${icon("close")}</button>
      </div>`,
      this.place,
    );
  }

  /**
   * @param {Tool} tool
   * @param {Tile[]} tiles
   */
  #button(tool, tiles) {
    const label = tool.label(tiles);
    const press = (/** @type {Event} */ event) => tool.work(tiles, /** @type {HTMLElement} */ (event.currentTarget));
    return html`<button class="icon-button ${tool.look?.(tiles) ?? ""}" type="button" title=${label} aria-label=${label} @click=${press}>${icon(tool.icon)}</button>`;
  }

  clear() {
    this.selection.clear();
    this.changed();
  }
}

// The scale of months at the side

const APART = 24; // px between two labels
const SHORT = new Intl.DateTimeFormat("en", { month: "short", timeZone: "UTC" });

/**
 * The months that get a label: the first, each that begins a year in the list, others where there is room. Pure.
 * @param {Block[]} blocks
 * @param {number} height  px
 */
export function scaleLabels(blocks, height) {
  const all = totalOf(blocks) || 1;
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
    const here = blocks[findPlace(blocks, index).number]?.month ?? "";
    const height = this.place.clientHeight;
    const state = `${here} ${height} ${blocks.length} ${totalOf(blocks)}`;
    if (state !== this.drawn) this.#labels(here, height);
    this.drawn = state;
    const top = `${(index / (totalOf(blocks) || 1)) * height}px`;
    for (const mark of this.place.querySelectorAll("span")) mark.style.top = top;
  }

  /**
   * @param {string} here  the month that is seen
   * @param {number} height
   */
  #labels(here, height) {
    const { blocks } = this;
    const shown = scaleLabels(blocks, height);
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
      this.onGo(Math.floor(share * (totalOf(this.blocks) - 1)));
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

// The fields above the gallery, without a new page for each change.

const PAUSE = 250; // ms of not typing

/**
 * Show filters in the fields.
 * @param {Filters} filters
 */
function fillFilters(filters) {
  for (const field of elementOf("filters", HTMLFormElement).elements) {
    if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement)) continue;
    const value = /** @type {Record<string, unknown>} */ (filters)[field.name];
    if (field.name === "favourite") /** @type {HTMLInputElement} */ (field).checked = Boolean(value);
    else if (["q", "kind", "month"].includes(field.name)) field.value = String(value ?? "");
  }
}

/**
 * `filter`: isMore: the same words, typed on. `jump`: go to a month; returns false where that isn't known, so that it must be a filter.
 * @param {{filter: (filters: Filters, isMore: boolean) => void, jump: (month: string) => boolean}} page
 */
function watchFilters(page) {
  const form = elementOf("filters", HTMLFormElement);
  const month = document.getElementById("month");
  let timer = 0;
  let isTyping = false;
  const filter = (isMore = false) => {
    const data = new FormData(form);
    const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim() || null;
    page.filter({ q: text("q"), kind: text("kind"), favourite: data.has("favourite"), month: text("month") }, isMore);
  };
  elementOf("apply", HTMLElement).hidden = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  form.addEventListener("input", ({ target }) => {
    if (month instanceof HTMLSelectElement && target === month && page.jump(month.value)) return void (month.value = "");
    clearTimeout(timer);
    const typed = target instanceof HTMLInputElement && target.type === "search";
    timer = setTimeout(() => {
      filter(typed && isTyping);
      isTyping = typed;
    }, typed ? PAUSE : 0);
  });
  form.addEventListener("change", ({ target }) => target instanceof HTMLInputElement && target.type === "search" && (isTyping = false));
}

/**
 * The text with a filter set to a value, or without it when the value is empty.
 * @param {string} text
 * @param {string} name
 * @param {string} value
 */
export function withToken(text, name, value) {
  const old = new RegExp(`(^|\\s)${name}:(?:"[^"]*"|\\S+)`, "gi");
  const rest = text.replace(old, " ").replace(/\s+/g, " ").trim();
  const plain = value.replaceAll('"', "").trim();
  if (!plain) return rest;
  return `${rest} ${name}:${/\s/.test(plain) ? `"${plain}"` : plain}`.trim();
}

// The fields beside the search box: what is chosen there is written into the box, where it can be read and changed.

/** Let the fields of the gallery write into its search box. What came with the address is moved there. Returns what is in it. */
export function joinSearchFields() {
  const box = elementOf("search-box", HTMLInputElement);
  const fields = elementOf("more-filters", HTMLDetailsElement);
  const write = (/** @type {string} */ name, /** @type {string} */ value) => {
    box.value = withToken(box.value, name, value);
  };
  const tell = () => box.dispatchEvent(new Event("input", { bubbles: true }));
  fields.addEventListener("input", (event) => event.stopPropagation());
  fields.addEventListener("change", ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return;
    if (target.type === "file") return void uploadLike(target, write).then(tell, showError);
    moveField(target, write);
    tell();
  });
  for (const field of fields.querySelectorAll("input")) if (field.type !== "file") moveField(field, write);
  elementOf("like-picture", HTMLElement).hidden = false;
  return box.value;
}

/**
 * @param {HTMLInputElement} field
 * @param {(name: string, value: string) => void} write
 */
function moveField(field, write) {
  if (field.type === "checkbox" ? !field.checked : !field.value.trim()) return;
  write(field.name, field.value);
  if (field.type === "checkbox") field.checked = false;
  else field.value = "";
}

/**
 * @param {HTMLInputElement} field
 * @param {(name: string, value: string) => void} write
 */
async function uploadLike(field, write) {
  const [file] = field.files ?? [];
  if (!file) return;
  const { sha256 } = await upload(file, file.name);
  field.value = "";
  write("like", sha256);
}

/**
 * What a page has of its own. `fixed`: filters that stay. `counted`: pictures without other filters, where
 * there are no months.
 * @typedef {object} Kind
 * @property {Filters} fixed
 * @property {number | null} counted
 * @property {(gallery: Gallery) => Tool[]} tools
 * @property {(filters: Filters) => TemplateResult} empty
 * @property {(filters: Filters) => void} [filtered]
 */

const SETTLED = 250; // ms without scrolling until the address follows
const MOST_AT_ONCE = 2000; // pictures that one shift-click chooses

export class Gallery {
  /**
   * @param {{pictures: Tile[], months: Month[], filters: Filters, newer: string | null, note?: string}} data
   * @param {Announcer} announcer
   * @param {Kind} kind
   */
  constructor(data, announcer, kind) {
    this.kind = kind;
    this.months = data.months;
    this.place = elementOf("gallery", HTMLElement);
    this.note = document.createElement("div");
    this.place.before(this.note);
    this.selection = new Selection();
    this.bulk = new Bulk(this.selection, () => this.draw(), kind.tools(this));
    this.source = this.#source(data.filters, data.newer ? [] : data.pictures);
    this.source.note = data.note ?? "";
    this.grid = new Grid(this.place, this.source, this.selection, { press: (event, index) => this.#press(event, index), mark: (event, index) => this.#mark(event, index), like: (index) => this.like(index) });
    this.scale = new Scale((index) => this.grid.scrollTo(index));
    this.announcer = announcer;
    this.#begin();
  }

  #begin() {
    history.scrollRestoration = "manual";
    elementOf("pager", HTMLElement).hidden = true;
    this.draw();
    this.grid.scrollTo(indexOf(this.source.blocks, location.hash.slice(1)));
    let settled = 0;
    addEventListener("scroll", () => {
      this.scale.draw(this.source.blocks, this.grid.first);
      clearTimeout(settled);
      settled = setTimeout(() => this.#keepPlace(), SETTLED);
    }, { passive: true });
    if (document.getElementById("filters")) this.#watchFilters();
    if (matchMedia("(any-pointer: coarse)").matches) onLongPress(this.place, (index) => this.#choose(index));
    this.place.addEventListener("keydown", (event) => this.#key(event));
    followNews((news) => this.#take(news).catch(showError));
  }

  draw() {
    this.place.classList.toggle("choosing", this.selection.size > 0);
    const empty = this.source.total === 0;
    this.place.hidden = empty;
    const said = document.getElementById("search-note");
    if (said) said.textContent = this.source.note;
    render(empty ? this.kind.empty(this.source.filters) : html``, this.note);
    this.grid.draw();
    this.scale.draw(this.source.blocks, this.grid.first);
    this.bulk.draw();
  }

  /**
   * @param {Filters} filters
   * @param {Tile[]} [first]
   */
  #source(filters, first) {
    const { q, kind, favourite, month } = filters;
    const all = { ...filters, ...this.kind.fixed };
    if (q || kind || favourite) return new Source(all, null, () => this.draw(), first);
    const months = this.months.filter((one) => !month || one.month === month);
    const counted = this.kind.counted === null ? null : [{ month: "", pictures: this.kind.counted }];
    return new Source(all, months.length ? months : counted, () => this.draw(), first);
  }

  /** Each filter is a step that Back undoes; what is typed on is one. */
  #watchFilters() {
    history.replaceState({ filters: this.source.filters }, "");
    watchFilters({
      filter: (filters, isMore) => {
        const query = pageQuery(filters);
        const isSame = String(query) === String(pageQuery(this.source.filters));
        history[isMore || isSame ? "replaceState" : "pushState"]({ filters }, "", location.pathname + (query.size ? `?${query}` : ""));
        this.#filter(filters);
      },
      jump: (month) => this.#jump(month),
    });
    addEventListener("popstate", ({ state }) => {
      if (!state?.filters || String(pageQuery(state.filters)) === String(pageQuery(this.source.filters))) return; // a step within the page
      fillFilters(state.filters);
      this.#filter(state.filters);
    });
  }

  /** @param {Filters} filters */
  #filter(filters) {
    this.source = this.#source(filters);
    this.selection.clear();
    this.kind.filtered?.(filters);
    this.grid.show(this.source);
    this.grid.scrollTo(0);
    this.draw();
  }

  /** @param {string} month */
  #jump(month) {
    const known = this.source.blocks.length > 1 && this.source.blocks.some((block) => block.month === month);
    if (known) this.grid.jumpTo(indexOf(this.source.blocks, month));
    return known;
  }

  #keepPlace() {
    const anchor = anchorOf(this.source.blocks, this.grid.first);
    history.replaceState(history.state, "", location.pathname + location.search + (anchor ? `#${anchor}` : ""));
  }

  /**
   * @param {MouseEvent} event
   * @param {number} index
   */
  #press(event, index) {
    const away = this.source.at(index)?.ends; // what is in the trash has no page
    if (away || event.shiftKey || (this.selection.size && !event.ctrlKey && !event.metaKey)) {
      event.preventDefault();
      this.#mark(event, index);
      return;
    }
    this.#keepPlace();
    keepTrail(this.source.hrefsAround(index));
  }

  /**
   * @param {MouseEvent | KeyboardEvent} event
   * @param {number} index
   */
  async #mark(event, index) {
    if (!event.shiftKey) return this.#choose(index);
    const [from, to] = [Math.min(this.selection.anchor, index), Math.max(this.selection.anchor, index) + 1];
    const end = Math.min(to, from + MOST_AT_ONCE);
    await this.source.ensure(from, end).catch(showError);
    const between = Array.from({ length: end - from }, (_, k) => this.source.at(from + k));
    this.selection.add(between.filter((tile) => tile !== undefined));
    this.draw();
  }

  /** @param {number} index */
  #choose(index) {
    const tile = this.source.at(index);
    if (tile) this.selection.toggle(tile, index);
    this.draw();
  }

  /** What a key is meant for: the chosen pictures, or the one with the focus. */
  get meant() {
    if (this.selection.size) return [...this.selection.chosen.values()];
    const tile = this.grid.has(document.activeElement) ? this.source.at(this.grid.current) : undefined;
    return tile ? [tile] : [];
  }

  /** @param {number} index */
  like(index) {
    const tile = this.source.at(index);
    if (tile) toggleFavourite(tile.job, tile, () => this.draw());
  }

  /** @param {Tile[]} tiles  that belong here no longer */
  forget(tiles) {
    if (this.bulk.place.contains(document.activeElement)) this.grid.holds = true;
    this.selection.clear();
    this.kind.counted = this.kind.counted === null ? null : Math.max(0, this.kind.counted - tiles.length);
    this.source.forget(tiles);
    if (this.months.length) readMonths(new URLSearchParams()).then((months) => (this.months = months), showError);
  }

  /** Read all again, at the same place. */
  async renew() {
    const at = this.grid.current;
    await this.#renew((await this.#newest()).pictures);
    this.grid.current = at;
    this.grid.holds = true;
    this.grid.draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== " " || !(event.target instanceof HTMLAnchorElement)) return;
    event.preventDefault();
    this.#mark(event, this.grid.current);
  }

  /** @param {News} news */
  async #take(news) {
    if (news.changed.length || !news.complete) await this.#look(news.changed);
    await this.announcer.take(news);
  }

  #newest() {
    const query = queryOf(this.source.filters);
    query.set("limit", String(PAGE));
    return untilAnswered(() => readPictures(query));
  }

  /**
   * See whether there are new pictures on top, and whether others have gone. At the top new ones are shown at
   * once, further down they are offered.
   * @param {string[]} jobs  that have changed
   * @returns {Promise<void>}
   */
  async #look(jobs) {
    const isOld = this.#watch();
    const { pictures } = await this.#newest();
    if (isOld()) return this.#look(jobs);
    const known = this.source.at(0);
    const first = pictures[0];
    if (!first || (known && keyOf(known) === keyOf(first))) {
      if (!isSame(pictures, this.source)) return this.#renew(pictures);
      const gone = this.kind.fixed.trash ? [] : await goneOf(this.source.of(jobs));
      return gone.length ? this.source.forget(gone) : undefined;
    }
    if (scrollY < innerHeight / 2) return this.#renew(pictures);
    const show = async () => {
      await this.#renew(pictures);
      this.grid.scrollTo(0);
    };
    render(html`<div class="fresh"><button class="button" type="button" @click=${() => show().catch(showError)}>New pictures</button></div>`, this.note);
  }

  /** Returns what tells whether the pictures have become others since now: some were thrown away, say. */
  #watch() {
    const [source, total] = [this.source, this.source.total];
    return () => this.source !== source || source.total !== total;
  }

  /** Show other pictures; the focus stays on its own, or at its place. @param {Tile[]} first @returns {Promise<void>} */
  async #renew(first) {
    const isOld = this.#watch();
    if (this.months.length) this.months = await readMonths(new URLSearchParams());
    else this.kind.counted = null;
    if (isOld()) return this.#look([]);
    const { current } = this.grid;
    const mine = this.source.at(current);
    const again = mine ? first.findIndex((tile) => keyOf(tile) === keyOf(mine)) : -1;
    this.source = this.#source(this.source.filters, first);
    this.grid.show(this.source, !this.grid.isHeld ? 0 : again < 0 ? current : again);
    this.draw();
  }
}
