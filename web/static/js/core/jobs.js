// The jobs of a page: what the server said last of each, in the order in which they are shown.
import { Problem, readJob, readJobs } from "./api.js";

/** @import {Job, News, State} from "../types.js" */

/** A job, and what only lives here. `shown`: the preview that is decoded and can be drawn at once. */
/** @typedef {Job & {shown?: string, fraction?: number | null, paused?: boolean}} LiveJob */

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
   * @param {Job[]} jobs
   * @param {() => void} onChange
   * @param {(job: Job) => boolean} [belongs]  which ones this page shows
   */
  constructor(jobs, onChange, belongs = () => true) {
    /** @type {Map<string, LiveJob>} in the order of the page, newest first */
    this.byId = new Map(jobs.map((job) => [job.id, job]));
    this.onChange = onChange;
    this.belongs = belongs;
    for (const job of jobs) this.#decode(job);
  }

  /** @returns {LiveJob[]} */
  get all() {
    return [...this.byId.values()].filter(this.belongs);
  }

  /**
   * Put these first, or in place of what is known of them.
   * @param {Job[]} jobs
   */
  add(jobs) {
    const fresh = jobs.filter((job) => !this.byId.has(job.id));
    for (const job of jobs) if (this.byId.has(job.id)) this.#set(job);
    if (fresh.length) this.byId = new Map([...fresh.map((job) => /** @type {const} */ ([job.id, job])), ...this.byId]);
    this.onChange();
  }

  /** @param {string} id */
  drop(id) {
    this.byId.delete(id);
    this.onChange();
  }

  /** Read the whole list again: the socket was away, or said that it isn't complete. */
  async reload() {
    const jobs = await readJobs();
    const there = new Set(jobs.map((job) => job.id));
    for (const job of this.byId.values()) if (!job.over && !there.has(job.id)) await this.#reread(job.id);
    this.add(jobs);
  }

  /** @param {News} news */
  async take(news) {
    for (const state of news.jobs) {
      const job = this.byId.get(state.id);
      if (job) this.#set(changed(job, state));
    }
    this.onChange();
    if (news.complete) await Promise.all(news.changed.map((id) => this.#reread(id)));
    else await this.reload();
  }

  /** @param {string} id */
  async #reread(id) {
    try {
      const job = await readJob(id);
      if (this.byId.has(id) || !job.over || this.#isNewest(job)) this.add([job]);
    } catch (error) {
      if (error instanceof Problem && error.status === 404) this.drop(id); // deleted, or no longer ours to see
    }
  }

  /** @param {Job} job */
  #isNewest(job) {
    return [...this.byId.values()].every((other) => other.created <= job.created);
  }

  /** @param {LiveJob} job */
  #set(job) {
    const known = this.byId.get(job.id);
    this.byId.set(job.id, { ...job, shown: job.shown ?? known?.shown });
    if (job.preview && job.preview !== known?.preview) this.#decode(job);
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
