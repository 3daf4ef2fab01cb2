// How far a job is, in words and as a share.
import { duration } from "../core/text.js";

/** @import {LiveJob} from "../core/jobs.js" */

/**
 * @param {LiveJob} job
 * @returns {[string, number | null]} what to say, and the share that is done
 */
export function step(job) {
  if (job.status === "rendered") return ["Almost there", 1];
  if (job.loading) {
    const share = job.fraction ?? null;
    return [`Loading ${job.loading}${share === null ? "" : `, ${Math.round(share * 100)} %`}`, share];
  }
  if (!job.total) return ["Starting", null];
  if (job.talk) return ["Answering", null]; // nobody knows how long it will be
  const share = (job.step ?? 0) / job.total;
  const doing = job.doing ? `, ${job.doing}` : "";
  return [`${Math.round(share * 100)} %${doing}${job.eta ? `, ${duration(job.eta)} left` : ""}`, share];
}
