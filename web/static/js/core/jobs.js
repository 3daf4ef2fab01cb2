// The jobs of a page: what the server said last of each, by the point of its news, in the order in which they are shown.
import { Problem, readJob, readJobs, untilAnswered } from "./api.js";

/** @import {Job, News, State} from "../types.js" */

/** A job, and what only lives here. `shown`: the preview that is decoded and can be drawn at once. */
/** `read`: which of this page's reads it comes from. @typedef {Job & {read?: number, shown?: string, fraction?: number | null, paused?: boolean}} LiveJob */

const MOST_OVER = 60; // finished ones that stay, so that a page may be open for days

/** @type {Partial<Record<State["state"], Job["status"]>>} */
const STATUS = { queued: "queued", paused: "queued", rendered: "rendered", failed: "failed", cancelled: "cancelled" };

/**
 * The job after what the socket said of it. Pure.
 * @param {LiveJob} job
 * @param {State} state
 * @returns {LiveJob}
 */
export function changed(job, state) {
  const status = STATUS[state.state] ?? "running";
  if (job.over) return job;
  return {
    ...job,
    status,
    over: status === "failed" || status === "cancelled",
    position: status === "queued" ? (state.position ?? null) : null,
    eta: state.eta ?? null,
    held: state.held ?? false,
    paused: state.state === "paused",
    step: state.step ?? job.step,
    doing: state.doing ?? job.doing,
    total: state.total ?? job.total,
    preview: state.preview ?? job.preview,
    answer: state.text ?? job.answer,
    box: state.box ?? job.box ?? null,
    loading: state.state === "loading" ? (state.model ?? "a model") : null,
    fraction: state.state === "loading" ? state.fraction : null,
    error: state.error ?? job.error,
  };
}

export class Jobs {
  /**
   * @param {Job[]} jobs  that the page came with
   * @param {() => void} onChange
   * @param {(job: Job) => boolean} [belongs]  which ones this page shows
   */
  constructor(jobs, onChange, belongs = () => true) {
    const at = Number(document.body?.dataset.point ?? 0);
    /** @type {Map<string, LiveJob>} in the order of the page, newest first */
    this.byId = new Map(jobs.map((job) => [job.id, { at, ...job }]));
    /** @type {Map<string, {state: State, at: number}>} what the socket said last of each that isn't over */
    this.told = new Map();
    this.at = 0; // point of the last news
    this.reads = 0;
    this.onChange = onChange;
    this.belongs = belongs;
    for (const job of jobs) this.#decode(job);
  }

  /** @returns {LiveJob[]} */
  get all() {
    return [...this.byId.values()].filter(this.belongs);
  }

  /**
   * Put these first, or in place of what is known of them, unless that is newer.
   * @param {Job[]} jobs
   */
  add(jobs) {
    const fresh = jobs.filter((job) => !this.byId.has(job.id));
    if (fresh.length) this.byId = new Map([...fresh.map((job) => /** @type {[string, LiveJob]} */ ([job.id, { ...job, at: 0 }])), ...this.byId]);
    for (const job of jobs) this.#set(job);
    const over = [...this.byId.values()].filter((job) => job.over);
    for (const { id } of over.slice(MOST_OVER)) this.byId.delete(id);
    this.onChange();
  }

  /** @param {string} id */
  drop(id) {
    this.byId.delete(id);
    this.onChange();
  }

  /** Read the whole list again: what was missed isn't known. */
  async reload() {
    const jobs = await untilAnswered(readJobs);
    const there = new Set(jobs.map((job) => job.id));
    for (const job of this.byId.values()) if (!job.over && !there.has(job.id)) await this.#reread(job.id);
    this.add(jobs);
  }

  /** @param {News} news */
  async take(news) {
    if (news.at < this.at) this.#forget(); // another start of the studio, by a clock that was set back
    this.at = news.at;
    for (const state of news.jobs) {
      this.told.set(state.id, { state, at: news.at });
      const job = this.byId.get(state.id);
      if (job) this.#set(job);
    }
    this.onChange();
    if (news.complete) await Promise.all(news.changed.map((id) => this.#reread(id)));
    else await this.reload();
  }

  #forget() {
    this.told.clear();
    for (const [id, job] of this.byId) this.byId.set(id, { ...job, at: 0 });
  }

  /** @param {string} id */
  async #reread(id) {
    const read = (this.reads += 1);
    try {
      const job = { ...(await untilAnswered(() => readJob(id))), read };
      if (job.over) this.told.delete(id);
      if (this.byId.has(id) || !job.over || this.#isNewest(job)) this.add([job]);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
      this.drop(id); // deleted, or no longer ours to see
    }
  }

  /** @param {Job} job */
  #isNewest(job) {
    return [...this.byId.values()].every((other) => other.created <= job.created);
  }

  /** Take what was read of a known job, unless it is older than what is known, and on top of it what was told since. @param {LiveJob} job */
  #set(job) {
    const known = this.byId.get(job.id);
    const at = job.at ?? 0;
    if (at < (known?.at ?? 0) || (at === known?.at && (job.read ?? 0) < (known.read ?? 0))) return;
    const told = this.told.get(job.id);
    const now = told && told.at > at ? changed(job, told.state) : job;
    this.byId.set(job.id, { ...now, at, shown: now.shown ?? known?.shown });
    if (now.preview && now.preview !== known?.preview) this.#decode(now);
  }

  /**
   * Load a preview aside, so that it replaces the one before without a gap.
   * @param {Job} job
   */
  #decode(job) {
    const { id, preview } = job;
    if (!preview || job.over) return;
    const image = new Image();
    image.src = preview;
    image.decode().then(
      () => {
        const now = this.byId.get(id);
        if (!now || now.preview !== preview) return;
        this.byId.set(id, { ...now, shown: preview });
        this.onChange();
      },
      () => {}, // the next one comes soon
    );
  }
}
