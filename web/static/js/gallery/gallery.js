// Ties the gallery's parts together: what is looked for, where the reader is, what is chosen, what is new.
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { readMonths, readPictures, untilAnswered } from "../core/api.js";
import { followNews, toggleFavourite } from "../core/jobs.js";
import { element } from "../core/page.js";
import { complain } from "../core/text.js";
import { keepTrail } from "../viewer/trail.js";
import { anchorOf, indexOf } from "./blocks.js";
import { Bulk } from "./bulk.js";
import { fillFilters, watchFilters } from "./filters.js";
import { Grid } from "./grid.js";
import { Scale } from "./scale.js";
import { keyOf, Selection } from "./selection.js";
import { addressOf, PAGE, queryOf, Source } from "./source.js";

/** @import {TemplateResult} from "../../vendor/lit-html/lit-html.js" */
/** @import {Announcer} from "../core/jobs.js" */
/** @import {Month, News, Tile} from "../types.js" */
/** @import {Tool} from "./bulk.js" */
/** @import {Filters} from "./source.js" */

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
const AROUND = 300; // pictures that the viewer knows on each side

export class Gallery {
  /**
   * @param {{pictures: Tile[], months: Month[], filters: Filters, newer: string | null, note?: string}} data
   * @param {Announcer} announcer
   * @param {Kind} kind
   */
  constructor(data, announcer, kind) {
    this.kind = kind;
    this.months = data.months;
    this.place = element("gallery", HTMLElement);
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
    element("pager", HTMLElement).hidden = true;
    this.draw();
    this.grid.scrollTo(indexOf(this.source.blocks, location.hash.slice(1)));
    let settled = 0;
    addEventListener("scroll", () => {
      this.scale.draw(this.source.blocks, this.grid.first);
      clearTimeout(settled);
      settled = setTimeout(() => this.#keepPlace(), SETTLED);
    }, { passive: true });
    if (document.getElementById("filters")) this.#watchFilters();
    if (matchMedia("(any-pointer: coarse)").matches) import("./touch.js").then(({ onLongPress }) => onLongPress(this.place, (index) => this.#choose(index)));
    this.place.addEventListener("keydown", (event) => this.#key(event));
    followNews((news) => this.#take(news).catch(complain));
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
        const query = addressOf(filters);
        const isSame = String(query) === String(addressOf(this.source.filters));
        history[isMore || isSame ? "replaceState" : "pushState"]({ filters }, "", location.pathname + (query.size ? `?${query}` : ""));
        this.#filter(filters);
      },
      jump: (month) => this.#jump(month),
    });
    addEventListener("popstate", ({ state }) => {
      if (!state?.filters || String(addressOf(state.filters)) === String(addressOf(this.source.filters))) return; // a step within the page
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
    const hrefs = [];
    for (let k = Math.max(0, index - AROUND); k < index + AROUND; k += 1) {
      const href = this.source.at(k)?.href;
      if (href) hrefs.push(href);
    }
    this.#keepPlace();
    keepTrail(hrefs);
  }

  /**
   * @param {MouseEvent | KeyboardEvent} event
   * @param {number} index
   */
  async #mark(event, index) {
    if (!event.shiftKey) return this.#choose(index);
    const [from, to] = [Math.min(this.selection.anchor, index), Math.max(this.selection.anchor, index) + 1];
    const end = Math.min(to, from + MOST_AT_ONCE);
    await this.source.ensure(from, end).catch(complain);
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
    if (this.months.length) readMonths(new URLSearchParams()).then((months) => (this.months = months), complain);
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
      const { goneOf, isSame } = await import("./sync.js");
      if (!isSame(pictures, this.source)) return this.#renew(pictures);
      const gone = this.kind.fixed.trash ? [] : await goneOf(this.source.of(jobs));
      return gone.length ? this.source.forget(gone) : undefined;
    }
    if (scrollY < innerHeight / 2) return this.#renew(pictures);
    const show = async () => {
      await this.#renew(pictures);
      this.grid.scrollTo(0);
    };
    render(html`<div class="fresh"><button class="button" type="button" @click=${() => show().catch(complain)}>New pictures</button></div>`, this.note);
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
