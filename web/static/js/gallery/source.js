// The pictures of a gallery: their order in blocks, those that are chosen, and all of them, read in pages when somebody looks at that place.
import { Problem, readJob, readPictures } from "../core/api.js";
import { plainText, showError } from "../core/text.js";

/** @import {Month, Tile} from "../types.js" */

// The order of all pictures as blocks: a month each with its count, or one of unknown length when there is a filter. Pure.

/** `open`: there may be more than `count`. */
/** @typedef {{month: string | null, count: number, open: boolean}} Block */

/**
 * @param {Month[] | null} months  newest first; null = nobody has counted
 * @param {number} guess  of what isn't counted
 * @returns {Block[]}
 */
export const blocksOf = (months, guess) =>
  months ? months.map(({ month, pictures }) => ({ month, count: pictures, open: false })) : [{ month: null, count: guess, open: true }];

/** @param {Block[]} blocks */
export const totalOf = (blocks) => blocks.reduce((sum, { count }) => sum + count, 0);

/**
 * The block of a place, and the place within it.
 * @param {Block[]} blocks
 * @param {number} index
 */
export function findPlace(blocks, index) {
  let start = 0;
  for (const [number, block] of blocks.entries()) {
    if (index < start + block.count) return { number, offset: index - start };
    start += block.count;
  }
  return { number: Math.max(0, blocks.length - 1), offset: Math.max(0, index - start + (blocks.at(-1)?.count ?? 0)) };
}

/**
 * Where a block begins.
 * @param {Block[]} blocks
 * @param {number} number
 */
export const startOf = (blocks, number) => totalOf(blocks.slice(0, number));

/**
 * A place as it stands in the address: "2026-11.120" or "120". Counted within the month, it stays right when
 * pictures come above.
 * @param {Block[]} blocks
 * @param {number} index
 */
export function anchorOf(blocks, index) {
  const { number, offset } = findPlace(blocks, index);
  const month = blocks[number]?.month;
  return index === 0 ? "" : month ? `${month}.${offset}` : String(offset);
}

/**
 * @param {Block[]} blocks
 * @param {string} anchor
 */
export function indexOf(blocks, anchor) {
  const [, month, offset] = /^(?:(\d{4}-\d\d)\.?)?(\d*)$/.exec(anchor) ?? [];
  const number = month ? blocks.findIndex((block) => block.month === month) : 0;
  if (number < 0) return 0;
  const within = Math.min(Number(offset ?? 0), Math.max(0, (blocks[number]?.count ?? 1) - 1));
  return startOf(blocks, number) + within;
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

  /** @param {Tile[]} tiles */
  add(tiles) {
    for (const tile of tiles) this.chosen.set(keyOf(tile), tile);
  }

  clear() {
    this.chosen.clear();
  }
}

/** `trash`: what is in the trash. `folder`: the id of one. The others stand in the address. */
/** @typedef {{q?: string | null, kind?: string | null, favourite?: boolean, month?: string | null, server?: string | null, trash?: boolean, folder?: string}} Filters */

export const PAGE = 100; // tiles a request
const KEPT = 150; // pages
const AROUND = 300; // pictures that the viewer knows on each side
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
   * @param {Month[] | null} months
   * @param {() => void} onChange
   * @param {Tile[]} [first]  what the page came with
   * @param {typeof readPictures} [readPage]
   */
  constructor(filters, months, onChange, first = [], readPage = readPictures) {
    this.filters = filters;
    this.readPage = readPage;
    this.blocks = blocksOf(months, first.length || PAGE);
    this.onChange = onChange;
    this.first = first;
    /** @type {Map<string, Tile[]>} by "block:page", the ones used last at the end */
    this.pages = new Map();
    /** @type {Map<string, string>} where a page begins, for those that follow a known one */
    this.cursors = new Map();
    /** @type {Map<string, Promise<void>>} */
    this.loading = new Map();
    /** @type {string[]} */
    this.wanted = [];
    this.failed = false;
    /** What the server says of the search: what wasn't searched, or what is wrong with it. */
    this.note = "";
    /** The server doesn't skip: far pages are reached one after the other. */
    this.walks = false;
  }

  get total() {
    return totalOf(this.blocks);
  }

  get isOpen() {
    return this.blocks.some(({ open }) => open);
  }

  /**
   * @param {number} index
   * @returns {Tile | undefined}  undefined = not read yet
   */
  at(index) {
    const { number, offset } = findPlace(this.blocks, index);
    const page = this.pages.get(`${number}:${Math.floor(offset / PAGE)}`);
    return page ? page[offset % PAGE] : this.first[index];
  }

  /** The pages of the pictures around a place, as many as the viewer knows. @param {number} index */
  hrefsAround(index) {
    const hrefs = [];
    for (let at = Math.max(0, index - AROUND); at < index + AROUND; at += 1) hrefs.push(this.at(at)?.href ?? "");
    return hrefs.filter(Boolean);
  }

  /**
   * Read what lies between two places, the middle first, if nobody wants something else meanwhile.
   * @param {number} begin
   * @param {number} end
   */
  want(begin, end) {
    const keys = new Set(end > begin ? [this.#key(Math.floor((begin + end) / 2))] : []);
    for (let index = begin; index < end; index += PAGE) keys.add(this.#key(index));
    if (end > begin) keys.add(this.#key(end - 1));
    for (const key of keys) {
      const page = this.pages.get(key);
      if (page && this.pages.delete(key)) this.pages.set(key, page); // used last: dropped last
    }
    this.wanted = [...keys].filter((key) => !this.pages.has(key));
    this.#next();
  }

  /**
   * Read all between two places, however many pages that takes.
   * @param {number} begin
   * @param {number} end
   */
  async ensure(begin, end) {
    for (let index = begin; index < end; index += 1) {
      if (!this.at(index)) await this.#load(this.#key(index));
    }
  }

  /**
   * The pictures of these jobs, as far as they are read.
   * @param {string[]} jobs
   */
  of(jobs) {
    return [...this.first, ...[...this.pages.values()].flat()].filter(({ job }) => jobs.includes(job));
  }

  /** @param {Pick<Tile, "job" | "n">[]} gone  that are here no longer */
  forget(gone) {
    const keys = new Set(gone.map(keyOf));
    for (const [key, tiles] of this.pages) {
      const kept = tiles.filter((tile) => !keys.has(keyOf(tile)));
      const block = this.blocks[Number(key.split(":")[0])];
      if (block) block.count -= tiles.length - kept.length;
    }
    this.first = [];
    this.pages.clear();
    this.cursors.clear();
    this.onChange();
  }

  /** @param {number} index */
  #key(index) {
    const { number, offset } = findPlace(this.blocks, index);
    return `${number}:${Math.floor(offset / PAGE)}`;
  }

  #next() {
    while (this.loading.size < AT_ONCE) {
      const key = this.wanted.find((one) => !this.loading.has(one) && !this.pages.has(one));
      if (key === undefined) return;
      this.#load(key).then(
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
    for (const block of this.blocks) [block.count, block.open] = [0, false];
    this.onChange();
  }

  /** @param {string} key */
  #load(key) {
    const running = this.loading.get(key);
    if (running) return running;
    const load = this.#read(key).finally(() => this.loading.delete(key));
    this.loading.set(key, load);
    return load;
  }

  /** @param {string} key */
  async #read(key) {
    const [number = 0, page = 0] = key.split(":").map(Number);
    const query = queryOf(this.filters);
    const block = this.blocks[number];
    const cursor = this.cursors.get(key);
    const far = page > 0 && !cursor;
    if (far && this.walks) return this.#walk(number, page);
    if (block?.month) query.set("month", block.month);
    if (cursor) query.set("before", cursor);
    else if (far) query.set("skip", String(page * PAGE));
    query.set("limit", String(PAGE));
    const { pictures, older, skipped, note = "" } = await this.readPage(query);
    this.note = note;
    if (far && skipped !== page * PAGE) {
      this.walks = true;
      return this.#walk(number, page);
    }
    this.pages.set(key, pictures);
    if (older) this.cursors.set(`${number}:${page + 1}`, older);
    this.#measure(number, page, pictures.length, older !== null);
    this.#trim();
    this.onChange();
  }

  /**
   * Reach a page by those before it, as long as somebody wants it.
   * @param {number} number
   * @param {number} page
   */
  async #walk(number, page) {
    let at = page;
    while (at > 0 && !this.cursors.has(`${number}:${at}`)) at -= 1;
    for (; at < page; at += 1) {
      const key = `${number}:${page}`;
      const ends = (this.blocks[number]?.count ?? 0) <= at * PAGE;
      if (ends) this.wanted = this.wanted.filter((one) => one !== key);
      if (ends || !this.wanted.includes(key)) return;
      await this.#load(`${number}:${at}`);
    }
    await this.#read(`${number}:${page}`);
  }

  /**
   * Correct a block's count by what was really there.
   * @param {number} number
   * @param {number} page
   * @param {number} read
   * @param {boolean} more
   */
  #measure(number, page, read, more) {
    const block = this.blocks[number];
    if (!block) return;
    const end = page * PAGE + read;
    if (!more || read < PAGE) [block.count, block.open] = [end, false];
    else if (block.open) block.count = Math.max(block.count, end + PAGE);
  }

  #trim() {
    for (const key of this.pages.keys()) {
      if (this.pages.size <= KEPT) return;
      this.pages.delete(key);
    }
  }
}

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
