// How far a project's training is, what was said before a page was left, and jobs that a page waits for.
import { render } from "../vendor/lit-html/lit-html.js";
import { cancelJob, fetchJson, leaveNote, readJob, sendJson, sendOnce, untilAnswered } from "../js/core/api.js";
import { followNews, Jobs, stepOf, waitingOf } from "../js/core/jobs.js";
import { elementOf } from "../js/core/page.js";
import { html, showError, showToast, t } from "../js/core/text.js";

/** @import {LiveJob} from "../js/core/jobs.js" */
/** @import {Job, Project} from "../js/types.js" */

/**
 * Watch the training that runs, or let the button begin one. Returns whether one runs.
 * @param {Project} project
 */
export function startTraining(project) {
  if (project.training) {
    watch(project, project.training).catch(() => {}); // somebody else's: the page says that it goes on
    return true;
  }
  const form = document.getElementById("train");
  if (form instanceof HTMLFormElement) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (form.ariaBusy === "true") return;
      form.ariaBusy = "true";
      try {
        const pixels = Number(new FormData(form).get("pixels"));
        await sendOnce([project.id, "train", pixels], (key) => sendJson("POST", `/api/projects/${project.id}/train`, { pixels, key }));
        location.reload();
      } catch (error) {
        showError(error);
        form.ariaBusy = "false";
      }
    });
  }
  return false;
}

/**
 * @param {Project} project
 * @param {string} id  of the job
 */
async function watch(project, id) {
  const place = elementOf("training-state", HTMLElement);
  const job = await readJob(id);
  let told = false;
  const show = () => {
    const now = jobs.all.find((one) => one.id === id);
    if (!now) return;
    if (now.over && !told) {
      told = true;
      finish(project, now).catch(showError);
    }
    render(state(now), place);
  };
  const jobs = new Jobs([job], show, (one) => one.id === id);
  followNews((news) => void jobs.take(news).catch(showError));
  elementOf("training-cancel", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    cancelJob(id).catch(showError);
  });
  show();
}

/** @param {LiveJob} job */
function state(job) {
  if (job.over) return html``;
  if (job.status === "queued") return html`<p>${waitingOf(job)}</p>`;
  const [text, share] = stepOf(job);
  return html`<p>${text}</p>${share === null ? html`<progress aria-label="Training"></progress>` : html`<progress aria-label="Training" max="1" .value=${share}></progress>`}`;
}

/**
 * @param {Project} project
 * @param {Job} job
 */
async function finish(project, job) {
  if (job.error) return showToast(job.error, { bad: true, press: { label: t("Show the page again"), work: () => location.reload() } });
  if (job.status === "cancelled") {
    leaveNote("said", t("The training was stopped before it was done."));
    return location.reload();
  }
  leaveNote("said", t("The new version is ready."));
  const { versions } = /** @type {{versions: {number: number}[]}} */ (await fetchJson(`/api/projects/${project.id}/versions`, {}));
  location.assign(`${project.href}/report?version=${versions[0]?.number ?? 1}`);
}

/** Show the page again once a job that it waits for is over, unless somebody is about to send something. */
export function startOpen() {
  const open = [...document.querySelectorAll("[data-open]")].map((one) => /** @type {HTMLElement} */ (one).dataset.open ?? "");
  if (!open.length) return;
  const look = async () => {
    const jobs = await untilAnswered(() => Promise.all(open.map(readJob)));
    if (!jobs.some(({ over }) => over)) return;
    const busy = document.querySelector("[aria-busy=true], dialog[open], .sheet:popover-open");
    if (busy) showToast(t("It is done."), { press: { label: t("Show"), work: () => location.reload() } });
    else location.reload();
  };
  const again = () => void look().catch(showError);
  followNews((news) => (!news.complete || news.changed.some((id) => open.includes(id))) && again());
  again();
}
