// On pages without a stream: says that a job was queued, and when it is done.
import { readJob, untilAnswered } from "../core/api.js";
import { capital } from "../core/text.js";
import { toast } from "../core/toasts.js";

/** @import {Job, News} from "../types.js" */

export class Announcer {
  constructor() {
    /** @type {Set<string>} */
    this.waiting = new Set();
  }

  /** @param {Job[]} jobs */
  added(jobs) {
    for (const { id } of jobs) this.waiting.add(id);
    toast(jobs.length > 1 ? `${jobs.length} jobs queued` : "Queued", { link: { href: "/", label: "Watch" } });
  }

  /** @param {News} news */
  async take(news) {
    const changed = new Set(news.changed);
    for (const id of [...this.waiting].filter((one) => !news.complete || changed.has(one))) {
      const job = await untilAnswered(() => readJob(id));
      if (!job.over || !this.waiting.delete(id)) continue;
      if (job.error) toast(job.error, { bad: true, link: { href: "/", label: "Show" } });
      else toast(`${capital(job.kind)} done`, { link: { href: job.pictures[0]?.href ?? "/", label: "Show" } });
    }
  }
}
