// Ties a gallery's parts together: what is looked for, where the reader is, what is chosen, what is new.
import { nothing, render } from "../../vendor/lit-html/lit-html.js";
import { keepForGood, keepTrail, keptForGood, readDays, readPictures, untilAnswered, upload, Problem } from "../core/api.js";
import { followNews } from "../core/jobs.js";
import { addShortcuts, elementOf, icon } from "../core/page.js";
import { LOCALE, html, plainText, showError, t } from "../core/text.js";
import { dayName, Grid, onDrag, onLongPress, onZoom, SIZES } from "./grid.js";
import { anchorOf, goneOf, groupAt, indexOf, isSame, keyOf, PAGE, pageQuery, queryOf, Selection, Source } from "./source.js";

/** @import {TemplateResult} from "../../vendor/lit-html/lit-html.js" */
/** @import {Announcer} from "../core/jobs.js" */
/** @import {Day, News, Tile} from "../types.js" */
/** @import {Filters, Group} from "./source.js" */

/**
 * @typedef {object} Tool
 * @property {(tiles: Tile[]) => string} label
 * @property {string} icon
 * @property {(tiles: Tile[]) => boolean} [fits]  whether it is there for these
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
        <p role="status">${tiles.length.toLocaleString(LOCALE)} selected</p>
        ${this.tools.filter(({ fits }) => fits?.(tiles) ?? true).map((tool) => this.#button(tool, tiles))}
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

// The scale of dates at the side

const APART = 24; // px between two labels
const LONG_ENOUGH = 3; // windows of pictures that get a scale
const SHORT = new Intl.DateTimeFormat(LOCALE, { month: "short", timeZone: "UTC" });

/** @typedef {{day: string, label: string, name: string, weight: number, top: number}} DateMark  top: px on the scale */

/**
 * The days that get a label: those that begin a year in the list first, then months, then others, where there is
 * room. Pure.
 * @param {{day: string, top: number}[]} days  newest first; top: px on the scale
 * @returns {DateMark[]}
 */
export function dateMarks(days) {
  const marks = days.map(({ day, top }, number) => {
    const before = days[number - 1]?.day ?? "";
    const date = new Date(day);
    const weight = before.slice(0, 4) !== day.slice(0, 4) ? 0 : before.slice(0, 7) !== day.slice(0, 7) ? 1 : 2;
    const label = weight === 0 ? day.slice(0, 4) : weight === 1 ? SHORT.format(date) : String(date.getUTCDate());
    return { day, label, name: weight === 2 ? dayName(day) : `${SHORT.format(date)} ${day.slice(0, 4)}`, weight, top };
  });
  /** @type {DateMark[]} */
  const shown = [];
  for (const weight of [0, 1, 2]) {
    for (const mark of marks) if (mark.weight === weight && shown.every(({ top }) => Math.abs(top - mark.top) >= APART)) shown.push(mark);
  }
  return shown.sort((a, b) => a.top - b.top);
}

export class Scale {
  /** @param {Grid} grid */
  constructor(grid) {
    this.grid = grid;
    this.drawn = "";
    this.place = document.createElement("nav");
    this.place.className = "scale";
    this.place.setAttribute("aria-label", t("Dates"));
    document.querySelector("main")?.append(this.place);
    this.place.addEventListener("pointerdown", (event) => this.#drag(event));
    this.place.addEventListener("pointermove", ({ clientY }) => this.#point(clientY));
    addEventListener("resize", () => this.draw());
  }

  draw() {
    const { grid } = this;
    const { groups, version } = grid.source;
    const isShort = grid.height < LONG_ENOUGH * innerHeight || !groups[0]?.day;
    if (this.place.hidden !== isShort) {
      this.place.hidden = isShort;
      grid.place.classList.toggle("scaled", !isShort); // room beside the pictures
    }
    if (isShort) return;
    const height = this.place.clientHeight;
    const state = `${height} ${grid.state} ${version}`;
    if (state !== this.drawn) this.#labels(groups, height);
    this.drawn = state;
    const here = groups[groupAt(groups, grid.first)]?.day ?? "";
    const top = Math.min(1, Math.max(0, grid.top) / Math.max(1, grid.height - innerHeight)) * height;
    const thumb = this.place.querySelector(".thumb");
    if (thumb instanceof HTMLElement) thumb.style.transform = `translateY(${top}px)`;
    if (this.place.classList.contains("moving")) this.#say(here, top);
    const now = this.#marks.findLast((mark) => mark.day >= here) ?? this.#marks[0];
    for (const link of this.place.querySelectorAll("a")) link.toggleAttribute("aria-current", link.getAttribute("href") === `#${now?.day}`);
  }

  /** @type {DateMark[]} */
  #marks = [];

  /**
   * @param {Group[]} groups
   * @param {number} height
   */
  #labels(groups, height) {
    const all = Math.max(1, this.grid.height);
    this.#marks = dateMarks(groups.map(({ day, start }) => ({ day, top: (this.grid.topOf(start) / all) * height })));
    render(
      html`${this.#marks.map((one) => html`<a href="#${one.day}" class=${one.weight ? "" : "year"} aria-label=${one.name} .style=${`top:${one.top}px`} @click=${(/** @type {Event} */ event) => this.#go(event, one.day)}>${one.label}</a>`)}
        <span class="thumb"></span><span class="bubble" aria-hidden="true"></span>`,
      this.place,
    );
  }

  /** @param {string} day @param {number} top */
  #say(day, top) {
    const bubble = this.place.querySelector(".bubble");
    if (!(bubble instanceof HTMLElement)) return;
    bubble.textContent = day && dayName(day);
    bubble.style.top = `${top}px`;
  }

  /**
   * Name the day that lies where the pointer is.
   * @param {number} clientY
   */
  #point(clientY) {
    const share = this.#share(clientY);
    const { groups } = this.grid.source;
    this.#say(groups[groupAt(groups, this.grid.indexAt(share * this.grid.height))]?.day ?? "", share * this.place.clientHeight);
  }

  /** @param {number} clientY */
  #share(clientY) {
    const box = this.place.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientY - box.top) / box.height));
  }

  /**
   * @param {Event} event
   * @param {string} day
   */
  #go(event, day) {
    event.preventDefault();
    this.grid.jumpTo(indexOf(this.grid.source.groups, day));
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
      this.grid.scrollToTop(this.#share(clientY) * Math.max(0, this.grid.height - innerHeight));
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
    else if (["q", "kind", "month", "server"].includes(field.name)) field.value = String(value ?? "");
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
    page.filter({ q: text("q"), kind: text("kind"), favourite: data.has("favourite"), month: text("month"), server: text("server") }, isMore);
  };
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
 * What a page has of its own. `fixed`: filters that stay. `read`: its pictures, where they aren't one's own; nobody
 * counts those.
 * @typedef {object} Kind
 * @property {Filters} fixed
 * @property {typeof readPictures} [read]
 * @property {(gallery: Gallery) => Tool[]} tools
 * @property {(filters: Filters) => TemplateResult} empty
 * @property {(filters: Filters) => void} [filtered]
 */

const SETTLED = 250; // ms without scrolling until the address follows
const MOST_AT_ONCE = 2000; // pictures that one shift-click chooses
const AGAIN = 5000; // ms until other pictures than were counted are counted once more

export class Gallery {
  /**
   * @param {{pictures: Tile[], days: Day[] | null, filters: Filters, newer: string | null, older: string | null, note?: string}} data
   * @param {Announcer} announcer
   * @param {Kind} kind
   */
  constructor(data, announcer, kind) {
    this.kind = kind;
    this.place = elementOf("gallery", HTMLElement);
    this.note = document.createElement("div");
    this.place.before(this.note);
    this.selection = new Selection();
    this.bulk = new Bulk(this.selection, () => this.draw(), kind.tools(this));
    this.counted = 0; // ms: when the pictures were counted again
    this.asked = 0; // filters, as their number
    const older = data.older && new URL(data.older, location.href).searchParams.get("before");
    this.source = data.newer ? this.#source(data.filters, data.days, [], "") : this.#source(data.filters, data.days, data.pictures, older);
    this.source.note = data.note ?? "";
    this.grid = new Grid(this.place, this.source, this.selection, { press: (event, index) => this.#press(event, index), mark: (event, index) => this.#mark(event, index), markDay: (group) => this.#markDay(group) }, keptSize());
    this.scale = new Scale(this.grid);
    this.announcer = announcer;
    this.#begin();
  }

  #begin() {
    history.scrollRestoration = "manual";
    elementOf("pager", HTMLElement).hidden = true;
    this.#sizes();
    this.draw();
    this.#comeBack().catch(showError);
    let settled = 0;
    addEventListener("scroll", () => {
      this.scale.draw();
      clearTimeout(settled);
      settled = setTimeout(() => this.#keepPlace(), SETTLED);
    }, { passive: true });
    if (document.getElementById("filters")) this.#watchFilters();
    if (matchMedia("(any-pointer: coarse)").matches) onLongPress(this.place, (index) => this.#choose(index));
    this.#dragging();
    this.place.addEventListener("keydown", (event) => this.#key(event));
    for (const key of ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"]) addShortcuts({ [key]: (event) => this.#arrive(event) });
    followNews((news) => this.#take(news).catch(showError));
  }

  /** Go where the reader was when they left, or where the address says. */
  async #comeBack() {
    const { at, off = 0, current = 0 } = history.state ?? {};
    const index = at ?? indexOf(this.source.groups, location.hash.slice(1));
    this.grid.current = current;
    if (this.source.isOpen && index >= this.source.total) await this.source.ensure(index, index + 1);
    this.grid.scrollTo(index, at === undefined ? 0 : off);
    this.scale.draw(); // takes some of the width
    this.grid.scrollTo(index, at === undefined ? 0 : off);
  }

  /** Three sizes: by a slider, Ctrl and the wheel, a pinch, + and -. */
  #sizes() {
    const slider = Object.assign(document.createElement("input"), { type: "range", id: "sizes", min: "0", max: String(SIZES.length - 1), value: String(this.grid.size), title: t("Size of the pictures") });
    slider.setAttribute("aria-label", t("Size of the pictures"));
    const set = (/** @type {number} */ size, /** @type {{x: number, y: number} | undefined} */ point = undefined) => {
      if (size < 0 || size >= SIZES.length || size === this.grid.size) return;
      keepForGood("size", String(size));
      slider.value = String(size);
      this.grid.resize(size, point);
      this.scale.draw();
      this.#keepPlace();
    };
    slider.addEventListener("input", () => set(Number(slider.value)));
    onZoom(this.place, (step, point) => set(this.grid.size + step, point));
    addShortcuts({ "+": () => set(this.grid.size + 1), "-": () => set(this.grid.size - 1) });
    document.querySelector(".gallery-head, .page-head")?.append(slider);
  }

  draw() {
    this.place.classList.toggle("choosing", this.selection.size > 0);
    const empty = this.source.total === 0 && !this.source.isOpen;
    this.place.hidden = empty;
    elementOf("sizes", HTMLInputElement).hidden = empty;
    const said = document.getElementById("search-note");
    if (said) said.textContent = this.source.note;
    render(empty ? this.kind.empty(this.source.filters) : html``, this.note);
    this.grid.draw();
    this.scale.draw();
    this.bulk.draw();
  }

  /**
   * @param {Filters} filters
   * @param {Day[] | null} days
   * @param {Tile[]} first
   * @param {string | null} older
   */
  #source(filters, days, first, older) {
    return new Source({ ...filters, ...this.kind.fixed }, days, () => this.draw(), { first, older, read: this.kind.read, onStale: () => this.#countAgain() });
  }

  /** Other pictures than were counted: some went on another device, say. */
  #countAgain() {
    if (performance.now() - this.counted < AGAIN) return;
    this.counted = performance.now();
    this.renew().catch(showError);
  }

  /** @param {Filters} filters */
  async #read(filters) {
    const query = queryOf({ ...filters, ...this.kind.fixed });
    const limited = new URLSearchParams(query);
    limited.set("limit", String(PAGE));
    const read = this.kind.read ?? readPictures;
    const [days, page] = await untilAnswered(() => Promise.all([this.kind.read ? null : readDays(query), read(limited)]));
    const source = this.#source(filters, days, page.pictures, page.older);
    source.note = page.note ?? "";
    return source;
  }

  /** Each filter is a step that Back undoes; what is typed on is one. */
  #watchFilters() {
    history.replaceState({ ...history.state, filters: this.source.filters }, "");
    watchFilters({
      filter: (filters, isMore) => {
        const query = pageQuery(filters);
        const isSame = String(query) === String(pageQuery(this.source.filters));
        history[isMore || isSame ? "replaceState" : "pushState"]({ filters }, "", location.pathname + (query.size ? `?${query}` : ""));
        this.#filter(filters).catch(showError);
      },
      jump: (month) => this.#jump(month),
    });
    addEventListener("popstate", ({ state }) => {
      if (!state?.filters || String(pageQuery(state.filters)) === String(pageQuery(this.source.filters))) return; // a step within the page
      fillFilters(state.filters);
      this.#filter(state.filters).then(() => this.grid.scrollTo(state.at ?? 0, state.off ?? 0)).catch(showError);
    });
  }

  /** @param {Filters} filters */
  async #filter(filters) {
    const asked = (this.asked += 1);
    this.kind.filtered?.(filters);
    const source = await this.#read(filters).catch((error) => {
      if (!(error instanceof Problem) || error.status !== 400) throw error;
      const none = this.#source(filters, [], [], null);
      none.note = plainText(error.message);
      return none;
    });
    if (asked !== this.asked) return; // others are looked for by now
    this.source = source;
    this.selection.clear();
    this.grid.show(this.source);
    this.grid.scrollTo(0);
    this.draw(); // the scale comes or goes, and with it some of the width
    this.grid.clear();
    this.grid.scrollTo(0);
  }

  /** @param {string} month */
  #jump(month) {
    const known = this.source.groups.length > 1 && this.source.groups.some(({ day }) => day.startsWith(month));
    if (known) this.grid.jumpTo(indexOf(this.source.groups, month));
    return known;
  }

  #keepPlace() {
    const { index, off } = this.grid.at;
    const anchor = anchorOf(this.source.groups, index);
    history.replaceState({ ...history.state, at: index, off: scrollY ? off : 0, current: this.grid.current }, "", location.pathname + location.search + (anchor ? `#${anchor}` : ""));
  }

  /** An arrow without the focus anywhere begins at the first picture that is seen whole. @param {KeyboardEvent} event */
  #arrive(event) {
    if (document.activeElement !== document.body && document.activeElement?.id !== "main") return;
    event.preventDefault();
    const { index, off } = this.grid.at;
    this.grid.focus(off > 0 ? this.grid.below(index) : index);
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
    this.grid.current = index;
    this.#keepPlace();
    keepTrail(this.source.hrefsAround(index));
  }

  /**
   * @param {MouseEvent | KeyboardEvent} event
   * @param {number} index
   */
  async #mark(event, index) {
    if (!event.shiftKey) return this.#choose(index);
    this.selection.set(await this.#between(this.selection.anchor, index));
    this.draw();
  }

  /** The pictures from one place to another, whichever is first. @param {number} one @param {number} other */
  async #between(one, other) {
    const from = Math.min(one, other);
    const end = Math.min(Math.max(one, other) + 1, from + MOST_AT_ONCE);
    await this.source.ensure(from, end).catch(showError);
    return Array.from({ length: end - from }, (_, k) => this.source.at(from + k)).filter((tile) => tile !== undefined);
  }

  /** Choose all of a day, or none of it where all are chosen. @param {Group} group */
  async #markDay({ start, count }) {
    const tiles = await this.#between(start, start + count - 1);
    this.selection.set(tiles, !tiles.every((tile) => this.selection.has(tile)));
    this.selection.anchor = start;
    this.draw();
  }

  /** Choose what a drag from a mark goes over, beside what was chosen before. */
  #dragging() {
    let [from, latest] = [0, 0];
    /** @type {Tile[]} */
    let before = [];
    onDrag(this.place, {
      begin: (index) => {
        from = index;
        before = [...this.selection.chosen.values()];
      },
      to: async (index) => {
        latest = index;
        const tiles = await this.#between(from, index);
        if (latest !== index) return;
        this.selection.clear();
        this.selection.set([...before, ...tiles]);
        this.selection.anchor = from;
        this.draw();
      },
    });
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

  /** @param {Tile[]} tiles  that belong here no longer */
  forget(tiles) {
    if (this.bulk.place.contains(document.activeElement)) this.grid.holds = true;
    this.selection.clear();
    this.source.forget(tiles);
  }

  /** Read all again, at the same place. */
  async renew() {
    const at = this.grid.current;
    await this.#renew();
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
    if (news.changed.length || !news.complete) await this.look(news.changed);
    await this.announcer.take(news);
  }

  /**
   * See whether there are new pictures on top, and whether others have gone. At the top new ones are shown at
   * once, further down they are offered.
   * @param {string[]} jobs  that have changed
   * @returns {Promise<void>}
   */
  async look(jobs) {
    const isOld = this.#watch();
    const query = queryOf(this.source.filters);
    query.set("limit", String(PAGE));
    const { pictures } = await untilAnswered(() => (this.kind.read ?? readPictures)(query));
    if (isOld()) return this.look(jobs);
    const known = this.source.at(0);
    const first = pictures[0];
    if (!first || (known && keyOf(known) === keyOf(first))) {
      if (!isSame(pictures, this.source)) return this.#renew();
      const gone = this.kind.fixed.trash || this.kind.read ? [] : await goneOf(this.source.of(jobs));
      return gone.length ? this.source.forget(gone) : undefined;
    }
    if (scrollY < innerHeight / 2) return this.#renew();
    const show = async () => {
      await this.#renew();
      this.grid.scrollTo(0);
    };
    render(html`<div class="fresh"><button class="button" type="button" @click=${() => show().catch(showError)}>New pictures</button></div>`, this.note);
  }

  /** Returns what tells whether the pictures have become others since now: some were thrown away, say. */
  #watch() {
    const [source, total] = [this.source, this.source.total];
    return () => this.source !== source || source.total !== total;
  }

  /** Show what there is now; the focus stays on its own picture, or at its place. @returns {Promise<void>} */
  async #renew() {
    const isOld = this.#watch();
    const next = await this.#read(this.source.filters);
    if (isOld()) return this.look([]);
    const { current } = this.grid;
    const mine = this.source.at(current);
    const again = mine ? next.tiles.findIndex((tile) => tile && keyOf(tile) === keyOf(mine)) : -1;
    this.source = next;
    this.grid.show(next, !this.grid.isHeld ? 0 : again < 0 ? current : again);
    this.draw();
  }
}

/** The size that was chosen on an earlier visit. */
function keptSize() {
  const kept = keptForGood("size");
  return kept !== null && kept in SIZES ? Number(kept) : SIZES.length - 1;
}
