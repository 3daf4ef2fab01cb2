// What a press on an action does, whatever page it is on: ask what must be asked, tell the server, say what came of it.
import { cancel, confirmDraft, press, Problem, remove as deleteJob, send } from "../core/api.js";
import { once, outbox } from "../core/outbox.js";
import { counted } from "../core/text.js";
import { complain, toast } from "../core/toasts.js";

const questions = () => import("./dialog.js"); // asked seldom, so loaded when it is

/** @import {Action, Job, Picture} from "../types.js" */

/** What a page does with new jobs and with one that is gone. */
/** @typedef {{added: (jobs: Job[]) => void, gone: (id: string) => void}} Sink */

/**
 * @param {Job} job
 * @param {number} n  from 1; 1 too for the job as a whole
 * @param {Action} action
 * @param {Sink} sink
 * @param {Record<string, string>} [filled]  what was filled in, where the page has fields for it
 */
export async function act(job, n, action, sink, filled) {
  try {
    const before = action.action === "edit" ? "" : job.prompt; // an edit names what is to change
    const words = action.words && !filled ? await (await questions()).askWords(action.label, before) : undefined;
    if (words === null) return;
    const more = filled ?? (words === undefined ? {} : { words });
    sink.added(await once([job.id, n, action.action, more], (key) => press(job.id, n, action.action, more, key)));
  } catch (error) {
    complain(error);
  }
}

/** @param {Pick<Job, "id">} job */
export async function stop(job) {
  try {
    const { stopped } = /** @type {{stopped: boolean}} */ (await cancel(job.id));
    toast(stopped ? "Stopped" : "It was done already");
  } catch (error) {
    complain(error);
  }
}

/**
 * Put a job's pictures into the trash; one without pictures is deleted, after a question.
 * @param {Job} job
 * @param {{gone: (id: string) => void, back: () => void | Promise<void>}} page
 */
export async function remove(job, page) {
  if (!job.pictures.length) return destroy(job, page);
  const { putAway } = await import("../organise/away.js");
  await putAway(job.pictures.map(({ n }) => ({ job: job.id, n })), { gone: () => page.gone(job.id), back: page.back });
}

/**
 * Delete a job, after a question.
 * @param {Job} job
 * @param {Pick<Sink, "gone">} sink
 */
export async function destroy(job, sink) {
  const what = job.pictures.length ? `This deletes the job and its ${counted(job.pictures.length, "picture")} for good.` : "This deletes the job for good.";
  const { confirmed } = await questions();
  if (!(await confirmed("Delete it?", what, "Delete", { bad: true }))) return;
  try {
    await deleteJob(job.id);
    sink.gone(job.id);
    toast("Deleted");
  } catch (error) {
    complain(error);
  }
}

/**
 * Ask for what a prompt says; when it stands for several jobs, only after a question. Returns the new jobs,
 * null when nothing was asked for in the end. Raises Problem.
 * @param {string} prompt
 * @param {string[]} pictures  names, also of films
 * @param {string} [to]  what is to be done with films, "" = guess
 * @returns {Promise<Job[] | null>}
 */
export async function ask(prompt, pictures, to = "") {
  try {
    return await once([prompt, pictures, to], (key) => send(prompt, pictures, key, to));
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 409 || !error.body.draft) throw error;
    const count = Number(error.body.count);
    const { confirmed } = await questions();
    if (!(await confirmed(`Start ${counted(count, "job")}?`, error.message, `Start ${count}`))) return null;
    const { jobs, detail } = await confirmDraft(String(error.body.draft));
    if (detail) toast(detail, { bad: true });
    return jobs;
  }
}

/**
 * Shown at once, and sent until there is an answer; a refusal takes it back.
 * @param {string} job
 * @param {Pick<Picture, "n" | "favourite">} picture
 * @param {() => void} onChange
 */
export function toggleFavourite(job, picture, onChange) {
  const on = (picture.favourite = !picture.favourite);
  onChange();
  const name = `heart:${job}/${picture.n}`;
  outbox().senders.set(name, {
    refused: (_, error) => {
      if (picture.favourite === on) picture.favourite = !on;
      onChange();
      complain(error);
    },
  });
  outbox().put({ name, method: on ? "PUT" : "DELETE", path: `/api/favourites/${job}/${picture.n}` });
}

/**
 * Put text on the clipboard; where that is forbidden (http on another machine), offer it to be copied by hand.
 * @param {string} text
 * @param {string} what
 */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    await (await questions()).askWords("Copy this", text);
  }
}
