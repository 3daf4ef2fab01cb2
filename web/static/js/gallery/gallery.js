// Ties the gallery's parts together: what is looked for, where the reader is, what is chosen, what is new.
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { readMonths, readPictures } from "../core/api.js";
import { live } from "../core/live.js";
import { element } from "../core/page.js";
import { complain } from "../core/toasts.js";
import { toggleFavourite } from "../parts/actions.js";
import { emptyState } from "../parts/empty.js";
import { keepTrail } from "../viewer/trail.js";
import { anchorOf, indexOf } from "./blocks.js";
import { Bulk } from "./bulk.js";
import { watchFilters } from "./filters.js";
import { Grid } from "./grid.js";
import { Scale } from "./scale.js";
import { keyOf, Selection } from "./selection.js";
import { PAGE, queryOf, Source } from "./source.js";

/** @import {Announcer} from "../parts/announce.js" */
/** @import {Month, News, Tile} from "../types.js" */
/** @import {Filters} from "./source.js" */

const SETTLED = 250; // ms without scrolling until the address follows
const MOST_AT_ONCE = 2000; // pictures that one shift-click chooses
const AROUND = 300; // pictures that the viewer knows on each side

export class Gallery {
  /**
   * @param {{pictures: Tile[], months: Month[], filters: Filters, newer: string | null, note: string}} data
   * @param {Announcer} announcer
   */
  constructor(data, announcer) {
    this.months = data.months;
    this.place = element("gallery", HTMLElement);
    this.note = document.createElement("div");
    this.place.before(this.note);
    this.selection = new Selection();
    this.bulk = new Bulk(this.selection, { changed: () => this.draw(), removed: (jobs) => this.source.forget(jobs) });
    this.source = this.#source(data.filters, data.newer ? [] : data.pictures);
    this.source.note = data.note;
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
    watchFilters({ filter: (filters) => this.#filter(filters), jump: (month) => this.#jump(month) });
    if (matchMedia("(any-pointer: coarse)").matches) import("./touch.js").then(({ onLongPress }) => onLongPress(this.place, (index) => this.#choose(index)));
    this.place.addEventListener("keydown", (event) => this.#key(event));
    live((news) => this.#take(news).catch(complain), () => this.#look().catch(complain));
  }

  draw() {
    this.place.classList.toggle("choosing", this.selection.size > 0);
    const empty = this.source.total === 0;
    this.place.hidden = empty;
    element("search-note", HTMLElement).textContent = this.source.note;
    render(empty ? this.#empty() : html``, this.note);
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
    const counted = !(q || kind || favourite) && this.months.length > 0;
    const months = counted ? this.months.filter((one) => !month || one.month === month) : null;
    return new Source(filters, months, () => this.draw(), first);
  }

  /** @param {Filters} filters */
  #filter(filters) {
    const query = queryOf(filters);
    history.replaceState(null, "", `/pictures${query.size ? `?${query}` : ""}`);
    this.source = this.#source(filters);
    this.selection.clear();
    this.grid.show(this.source);
    this.grid.scrollTo(0);
    this.draw();
  }

  /** @param {string} month */
  #jump(month) {
    const known = this.source.blocks.length > 1 && this.source.blocks.some((block) => block.month === month);
    if (known) this.grid.scrollTo(indexOf(this.source.blocks, month));
    return known;
  }

  #empty() {
    const { q, kind, favourite } = this.source.filters;
    if (q || kind || favourite) return emptyState("search", "No picture fits", "Try fewer words or another filter.", html`<a class="button quiet" href="/pictures">Show all pictures</a>`);
    return emptyState("pictures", "No pictures yet", "What you make here and in Discord is kept here.", html`<a class="button" href="/">Make the first one</a>`);
  }

  #keepPlace() {
    const anchor = anchorOf(this.source.blocks, this.grid.first);
    history.replaceState(null, "", location.pathname + location.search + (anchor ? `#${anchor}` : ""));
  }

  /**
   * @param {MouseEvent} event
   * @param {number} index
   */
  #press(event, index) {
    if (event.shiftKey || (this.selection.size && !event.ctrlKey && !event.metaKey)) {
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

  /** @param {number} [index]  the one with the focus when not given */
  like(index) {
    if (index === undefined && this.selection.size) return void this.bulk.like(true);
    const tile = this.source.at(index ?? this.grid.current);
    if (tile) toggleFavourite(tile.job, tile, () => this.draw());
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== " " || !(event.target instanceof HTMLAnchorElement)) return;
    event.preventDefault();
    this.#mark(event, this.grid.current);
  }

  /** @param {News} news */
  async #take(news) {
    if (news.changed.length || !news.complete) await this.#look();
    await this.announcer.take(news);
  }

  /** See whether there are new pictures on top. At the top they are shown at once, further down they are offered. */
  async #look() {
    const query = queryOf(this.source.filters);
    query.set("limit", String(PAGE));
    const { pictures } = await readPictures(query);
    const [newest] = pictures;
    const known = this.source.at(0);
    if (!newest || (known && keyOf(known) === keyOf(newest))) return;
    if (scrollY < innerHeight / 2) return this.#renew(pictures);
    const show = async () => {
      await this.#renew(pictures);
      this.grid.scrollTo(0);
    };
    render(html`<div class="fresh"><button class="button" type="button" @click=${() => show().catch(complain)}>New pictures</button></div>`, this.note);
  }

  /** @param {Tile[]} first */
  async #renew(first) {
    this.months = await readMonths(new URLSearchParams());
    this.source = this.#source(this.source.filters, first);
    this.grid.show(this.source);
    this.draw();
  }
}
