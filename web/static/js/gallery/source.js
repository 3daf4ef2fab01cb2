// The pictures of a gallery: the days they lie in, those that are chosen, and all of them, read in pages when somebody looks at that place.
import { Problem, readJob, readPictures } from "../core/api.js";
import { plainText, showError } from "../core/text.js";

/** @import {Day, Tile} from "../types.js" */

// The order of all pictures: days with the shape of each, where the server counts them. Pure.

/** Pictures that belong together, from `start` on. `day`: "2026-11-26", "" where there are no days. */
/** @typedef {{day: string, start: number, count: number}} Group */

/**
 * @param {Day[]} days
 * @returns {{groups: Group[], ratios: number[]}}  width / height of each picture
 */
export function spread(days) {
  /** @type {number[]} */
  const ratios = [];
  const groups = days.map(({ day, shapes }) => {
    const start = ratios.length;
    for (let at = 0; at < shapes.length; at += 2) {
      for (let n = shapes[at + 1] ?? 0; n > 0; n -= 1) ratios.push((shapes[at] ?? 100) / 100);
    }
    return { day, start, count: ratios.length - start };
  });
  return { groups, ratios };
}

/**
 * The group of a place, as its number.
 * @param {Pick<Group, "start">[]} groups
 * @param {number} index
 */
export function groupAt(groups, index) {
  let [low, high] = [0, groups.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((groups[middle]?.start ?? 0) <= index) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * A place as it stands in the address: "2026-11-26.12" or "120". Counted within the day, it stays right when
 * pictures come above.
 * @param {Group[]} groups
 * @param {number} index
 */
export function anchorOf(groups, index) {
  const { day = "", start = 0 } = groups[groupAt(groups, index)] ?? {};
  return index === 0 ? "" : day ? `${day}.${index - start}` : String(index);
}

/**
 * The place that an address means: of a day or a month, of a picture there, or of a picture in all.
 * @param {Group[]} groups
 * @param {string} anchor
 */
export function indexOf(groups, anchor) {
  const [, date, offset] = /^(?:(\d{4}-\d\d(?:-\d\d)?)\.?)?(\d*)$/.exec(anchor) ?? [];
  const group = date ? groups.find(({ day }) => day.startsWith(date)) : { start: 0, count: Infinity };
  if (!group) return 0;
  return group.start + Math.min(Number(offset ?? 0), Math.max(0, group.count - 1));
}

// Which pictures are chosen: by job and number, so that scrolling and new pictures change nothing. Pure.

/** @param {Pick<Tile, "job" | "n">} tile */
export const keyOf = ({ job, n }) => `${job} ${n}`;

export class Selection {
  constructor() {
    /** @type {Map<string, Tile>} */
    this.chosen = new Map();
    /** The place from which shift chooses. */
    this.anchor = 0;
  }

  get size() {
    return this.chosen.size;
  }

  /** @param {Tile} tile */
  has(tile) {
    return this.chosen.has(keyOf(tile));
  }

  /**
   * @param {Tile} tile
   * @param {number} index
   */
  toggle(tile, index) {
    if (!this.chosen.delete(keyOf(tile))) this.chosen.set(keyOf(tile), tile);
    this.anchor = index;
  }

  /** @param {Tile[]} tiles @param {boolean} [on] */
  set(tiles, on = true) {
    for (const tile of tiles) on ? this.chosen.set(keyOf(tile), tile) : this.chosen.delete(keyOf(tile));
  }

  clear() {
    this.chosen.clear();
  }
}

/** `trash`: what is in the trash. `folder`: the id of one. The others stand in the address. */
/** @typedef {{q?: string | null, kind?: string | null, favourite?: boolean, month?: string | null, server?: string | null, trash?: boolean, folder?: string}} Filters */

export const PAGE = 100; // tiles a request
const KEPT = 15_000; // tiles
const AROUND = 300; // pictures that the viewer knows on each side
const SOON = 40; // pictures before the end of an open list when more are read
const AT_ONCE = 2; // requests
const RETRY = 5000; // ms

/**
 * What a page's own address says.
 * @param {Filters} filters
 */
export const pageQuery = ({ q, kind, favourite, month, server }) => queryOf({ q, kind, favourite, month, server });

/** @param {Filters} filters */
export function queryOf({ q, kind, favourite, month, server, trash, folder }) {
  const query = new URLSearchParams();
  const values = { q, kind, favourite: favourite ? "1" : "", month, server, folder, trash: trash ? "1" : "" };
  for (const [name, value] of Object.entries(values)) if (value) query.set(name, value);
  return query;
}

export class Source {
  /**
   * @param {Filters} filters
   * @param {Day[] | null} days  null = nobody has counted: the pictures follow one another as far as they are read
   * @param {() => void} onChange
   * @param {{first?: Tile[], older?: string | null, read?: typeof readPictures, onStale?: () => void}} [more]
   *   first: what is read already. older: where an uncounted list goes on, null = nowhere. onStale: there are
   *   other pictures than were counted
   */
  constructor(filters, days, onChange, { first = [], older = "", read = readPictures, onStale = () => {} } = {}) {
    this.filters = filters;
    this.onChange = onChange;
    this.onStale = onStale;
    this.read = read;
    /** @type {(Tile | undefined)[]} */
    this.tiles = [...first];
    /** Where the next page of an uncounted list begins; null at its end, and where all are counted. @type {string | null} */
    this.older = days ? null : older;
    const { groups, ratios } = days ? spread(days) : { groups: [{ day: "", start: 0, count: first.length }], ratios: first.map(ratioOf) };
    this.groups = groups;
    this.ratios = ratios;
    this.known = first.length; // tiles, about
    /** Rises whenever pictures lie elsewhere than before. */
    this.version = 0;
    /** @type {Map<number, Promise<void>>} pages on their way, by their first place */
    this.loading = new Map();
    /** @type {number[]} */
    this.wanted = [];
    this.failed = false;
    /** What the server says of the search: what wasn't searched, or what is wrong with it. */
    this.note = "";
  }

  get total() {
    return this.ratios.length;
  }

  /** Whether there may be more than `total`. */
  get isOpen() {
    return this.older !== null;
  }

  /**
   * @param {number} index
   * @returns {Tile | undefined}  undefined = not read yet
   */
  at(index) {
    return this.tiles[index];
  }

  /** The pages of the pictures around a place, as many as the viewer knows. @param {number} index */
  hrefsAround(index) {
    return this.tiles.slice(Math.max(0, index - AROUND), index + AROUND).flatMap((tile) => tile?.href ?? []);
  }

  /**
   * Read what lies between two places, the middle first, if nobody wants something else meanwhile.
   * @param {number} begin
   * @param {number} end
   */
  want(begin, end) {
    const missing = [];
    for (let index = begin; index < end; index += 1) if (!this.tiles[index]) missing.push(this.#pageOf(index));
    const middle = this.#pageOf((begin + end) >> 1);
    this.wanted = [...new Set(missing)].sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
    if (this.isOpen && end > this.total - SOON) this.wanted.push(this.total);
    this.#trim(begin, end);
    this.#next();
  }

  /**
   * Read all between two places, however many pages that takes.
   * @param {number} begin
   * @param {number} end
   */
  async ensure(begin, end) {
    for (let index = begin; index < end; index += 1) {
      while (this.isOpen && index >= this.total) await this.#load(this.total);
      if (index < this.total && !this.tiles[index]) await this.#load(this.#pageOf(index));
    }
  }

  /**
   * The pictures of these jobs, as far as they are read.
   * @param {string[]} jobs
   */
  of(jobs) {
    return this.tiles.filter((tile) => tile !== undefined && jobs.includes(tile.job)).map((tile) => /** @type {Tile} */ (tile));
  }

  /** @param {Pick<Tile, "job" | "n">[]} gone  that are here no longer */
  forget(gone) {
    const keys = new Set(gone.map(keyOf));
    const stays = Array.from(this.ratios, (_, index) => !this.tiles[index] || !keys.delete(keyOf(/** @type {Tile} */ (this.tiles[index]))));
    const kept = stays.flatMap((stay, index) => (stay ? [index] : []));
    this.tiles = kept.map((index) => this.tiles[index]);
    this.ratios = kept.map((index) => this.ratios[index] ?? 1);
    let start = 0;
    this.groups = this.groups.flatMap(({ day, start: from, count: before }) => {
      const count = stays.slice(from, from + before).filter(Boolean).length;
      const group = { day, start, count };
      start += count;
      return count ? [group] : [];
    });
    this.version += 1;
    this.loading = new Map(); // what is on its way is counted as before
    if (keys.size) this.onStale();
    this.onChange();
  }

  /** Where the month of a place begins: the server finds that at once, and walks from there. @param {number} index */
  #monthAt(index) {
    const number = groupAt(this.groups, index);
    const month = this.groups[number]?.day.slice(0, 7) ?? "";
    const isPlain = month && !this.filters.q && !this.filters.folder; // others have bounds of their own
    if (!isPlain) return { month: "", start: 0, end: this.total };
    let [first, last] = [number, number];
    while (this.groups[first - 1]?.day.startsWith(month)) first -= 1;
    while (this.groups[last + 1]?.day.startsWith(month)) last += 1;
    return { month, start: this.groups[first]?.start ?? 0, end: (this.groups[last]?.start ?? 0) + (this.groups[last]?.count ?? 0) };
  }

  /** @param {number} index */
  #pageOf(index) {
    const { start } = this.#monthAt(index);
    return start + Math.floor((index - start) / PAGE) * PAGE;
  }

  #next() {
    while (this.loading.size < AT_ONCE) {
      const page = this.wanted.find((one) => !this.loading.has(one));
      if (page === undefined) return;
      this.wanted = this.wanted.filter((one) => one !== page);
      this.#load(page).then(
        () => this.#next(),
        (error) => this.#failed(error),
      );
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    this.wanted = [];
    if (error instanceof Problem && error.status === 400) return this.#refused(error.message);
    if (!this.failed) showError(error);
    this.failed = true;
    setTimeout(() => {
      this.failed = false;
      this.onChange(); // and tries again, if somebody still looks there
    }, RETRY);
  }

  /** @param {string} why */
  #refused(why) {
    this.note = plainText(why);
    [this.tiles, this.ratios, this.groups, this.older] = [[], [], [], null];
    this.version += 1;
    this.onChange();
  }

  /** @param {number} page */
  #load(page) {
    const running = this.loading.get(page);
    if (running) return running;
    const { loading } = this;
    const load = (this.isOpen ? this.#readOn() : this.#readPage(page)).finally(() => loading.delete(page));
    loading.set(page, load);
    return load;
  }

  /** @param {number} page */
  async #readPage(page) {
    const { version } = this;
    const { month, start, end } = this.#monthAt(page);
    const count = Math.min(PAGE, end - page);
    const query = queryOf(this.filters);
    const last = this.tiles[page - 1];
    if (month) query.set("month", month);
    if (page > start && last) query.set("before", `${last.seq}-${last.n - 1}`);
    else if (page > start) query.set("skip", String(page - start));
    query.set("limit", String(count));
    const { pictures, note = "" } = await this.read(query);
    if (this.version !== version) return;
    this.note = note;
    for (const [number, tile] of pictures.entries()) this.tiles[page + number] = tile;
    this.known += pictures.length;
    if (pictures.length !== count) this.onStale();
    this.onChange();
  }

  /** Read the next page of a list that nobody has counted. */
  async #readOn() {
    const query = queryOf(this.filters);
    if (this.older) query.set("before", this.older);
    query.set("limit", String(PAGE));
    const { pictures, older, note = "" } = await this.read(query);
    this.note = note;
    this.older = older;
    this.tiles.push(...pictures);
    this.ratios.push(...pictures.map(ratioOf));
    for (const group of this.groups) group.count = this.ratios.length;
    this.version += 1;
    this.onChange();
  }

  /** @param {number} begin @param {number} end */
  #trim(begin, end) {
    if (this.isOpen || this.known <= KEPT) return;
    this.tiles = this.tiles.map((tile, index) => (index < begin - KEPT / 4 || index > end + KEPT / 4 ? undefined : tile));
    this.known = this.tiles.filter(Boolean).length;
  }
}

/** @param {Pick<Tile, "width" | "height">} tile */
const ratioOf = ({ width, height }) => width / height;

// What a gallery shows, compared with what the server has now

const MOST = 8; // jobs that are asked about

/**
 * Whether a source begins with these pictures, as far as it has read them.
 * @param {Tile[]} pictures
 * @param {Source} source
 */
export function isSame(pictures, source) {
  if (!pictures.length) return source.total === 0;
  return pictures.every((tile, index) => {
    const known = source.at(index);
    return !known || keyOf(known) === keyOf(tile);
  });
}

/**
 * Those of these pictures that are gone, or in the trash.
 * @param {Tile[]} tiles
 */
export async function goneOf(tiles) {
  const jobs = [...new Set(tiles.map(({ job }) => job))].slice(0, MOST);
  const left = new Map(await Promise.all(jobs.map(async (job) => /** @type {const} */ ([job, await numbersOf(job)]))));
  return tiles.filter(({ job, n }) => left.get(job)?.includes(n) === false);
}

/** @param {string} id */
async function numbersOf(id) {
  try {
    return (await readJob(id)).pictures.map(({ n }) => n);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return [];
    throw error;
  }
}
