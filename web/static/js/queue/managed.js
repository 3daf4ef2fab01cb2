// The queues of servers that the reader manages: drawn again every few seconds while somebody looks.
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { readQueues } from "../core/api.js";
import { element, icon, Rows } from "../core/page.js";
import { capital, duration } from "../core/text.js";
import { stopJob } from "../core/jobs.js";

/** @import {Queue, QueuedJob} from "../types.js" */

const EVERY = 3000; // ms

export class Managed {
  /** @param {Queue[]} queues */
  constructor(queues) {
    this.queues = queues;
    /** @type {Map<string, Rows<QueuedJob>>} by the queue's name */
    this.rows = new Map();
    this.place = element("managed", HTMLElement);
    if (!queues.length) return;
    this.place.replaceChildren();
    this.draw();
    setInterval(() => this.read().catch(() => {}), EVERY); // one that failed is tried again
  }

  async read() {
    if (document.hidden) return;
    this.queues = await readQueues();
    this.draw();
  }

  draw() {
    render(html`${this.queues.map((queue) => this.#queue(queue))}`, this.place);
  }

  /** @param {Queue} queue */
  #queue(queue) {
    const state = queue.paused ? ", paused" : queue.draining ? ", taking no new jobs" : "";
    const rows = this.rows.get(queue.name) ?? new Rows(Object.assign(document.createElement("ul"), { className: "rows" }), ({ id }) => id, (/** @type {QueuedJob} */ job) => this.#row(job));
    this.rows.set(queue.name, rows);
    rows.draw(queue.jobs);
    return html`<section class="managed" aria-label="Queue of ${queue.name}">
      <div class="managed-head"><h2>${queue.name}</h2><p class="muted small">${queue.running} running, ${queue.waiting} waiting${state}</p></div>
      ${queue.jobs.length ? rows.place : html`<p class="muted managed-more">Nothing runs or waits here.</p>`}
      ${queue.more ? html`<p class="muted small managed-more">and ${queue.more} more</p>` : nothing}
      ${queue.devices.filter(({ problem }) => problem).map(({ name, problem }) => html`<p class="muted small managed-more">${name}: ${problem}</p>`)}
    </section>`;
  }

  /** @param {QueuedJob} job */
  #row(job) {
    const words = job.private ? html`${icon("lock")}Private` : job.prompt || capital(job.kind);
    return html`<li class="row">
      <div><p class="managed-words">${words}</p><p class="muted small">${about(job)}</p></div>
      <button class="button quiet small" type="button" aria-label="Cancel the job of ${job.who}" @click=${() => this.#cancel(job)}>Cancel</button>
    </li>`;
  }

  /** @param {QueuedJob} job */
  async #cancel(job) {
    await stopJob(job);
    await this.read();
  }
}

/** @param {QueuedJob} job */
export function about({ who, kind, position, percent, eta, device }) {
  const state = position ? `place ${position}` : percent === null ? "starting" : `${percent} %`;
  return [who, capital(kind), state, eta ? `about ${duration(eta)}` : "", device ?? ""].filter(Boolean).join(" · ");
}
