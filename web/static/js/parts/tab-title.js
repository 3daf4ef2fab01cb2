// A tab that nobody looks at says in its title when a job is done.

/** @import {Job} from "../types.js" */

const title = document.title;
let before = 0;

/** @param {Job[]} jobs  as they are now */
export function tellTab(jobs) {
  const live = jobs.filter(({ over }) => !over).length;
  if (document.hidden && live < before) document.title = `✓ ${title}`;
  before = live;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) document.title = title;
});
