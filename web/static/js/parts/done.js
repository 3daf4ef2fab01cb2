// Says that a job is over: to screen readers at once, and in the title of a tab that nobody looks at.
import { counted, say } from "../core/text.js";

/** @import {Job} from "../types.js" */

const title = document.title;
/** @type {Set<string>} */
let live = new Set();

/** @param {Job[]} jobs  as they are now */
export function tellDone(jobs) {
  const done = jobs.filter(({ id, over }) => over && live.has(id));
  live = new Set(jobs.filter(({ over }) => !over).map(({ id }) => id));
  for (const job of done) say(`${job.prompt || job.kind}: ${outcome(job)}`);
  if (document.hidden && done.length) document.title = `✓ ${title}`;
}

/** @param {Job} job */
function outcome({ status, error, pictures }) {
  if (status === "failed") return error ?? "it failed";
  if (status === "cancelled") return "stopped";
  if (!pictures.length) return "done";
  return `${counted(pictures.length, pictures.some(({ film }) => film) ? "film" : "picture")} ready`;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) document.title = title;
});
