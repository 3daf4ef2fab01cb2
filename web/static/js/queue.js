// The page of what is still waiting or being drawn.
import { html } from "../vendor/lit-html/lit-html.js";
import { emptyState, pageData, startPage } from "./core/page.js";
import { Bar } from "./parts/bar.js";
import { Stream } from "./parts/stream.js";
import { Managed } from "./queue/managed.js";

/** @import {Job, Queue} from "./types.js" */

const { jobs, queues } = /** @type {{jobs: Job[], queues: Queue[]}} */ (pageData());

const bar = new Bar(null, (sent) => stream.added(sent));
const empty = () =>
  emptyState("check", "Nothing of yours is waiting", "What you ask for, here or in Discord, shows up here until it is done.", html`<a class="button" href="/">Create</a>`);
const stream = new Stream(jobs, bar, empty, (job) => !job.over);
new Managed(queues);
startPage();
