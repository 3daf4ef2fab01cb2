// The page on which pictures are asked for, and on which they appear.
import { html } from "../vendor/lit-html/lit-html.js";
import { emptyState, pageData, startPage } from "./core/page.js";
import { Bar } from "./parts/bar.js";
import { Stream } from "./parts/stream.js";

/** @import {Job} from "./types.js" */

const { jobs, hints } = /** @type {{jobs: Job[], hints: string[]}} */ (pageData());

const bar = new Bar(jobs.filter(({ mine }) => mine).map(({ prompt }) => prompt), (sent) => stream.added(sent));
const empty = () =>
  emptyState(
    "create",
    "Describe a picture",
    "Write what you want to see and press Enter. Four pictures come back in a few seconds.",
    html`<div class="hints">${hints.map((hint) => html`<a href="/?prompt=${encodeURIComponent(hint)}" @click=${(/** @type {Event} */ event) => { event.preventDefault(); bar.put(hint); }}>${hint}</a>`)}</div>`,
  );
const stream = new Stream(jobs, bar, empty);
if (location.search) history.replaceState(null, "", location.pathname + location.hash); // a reload begins anew
startPage();
