// The jobs of a page: the line on which the studio tells what is new of them, what is known of each, what a press on one does.
import { cancelJob, confirmDraft, deleteJob, fetchJson, leaveNote, moveToTrash, outbox, pauseBefore, personId, pictureName, pressJob, Problem, readJob, readJobs, restorePictures, sendJob, sendOnce, takeNote, toSignIn, untilAnswered } from "./api.js";
import { countOf, durationOf, showError, showToast, t } from "./text.js";

/** @import {Action, Job, News, Picture, State} from "../types.js" */
/** @import {Named} from "./api.js" */

// The jobs of a page: the line on which the studio tells what is new of them, what is known of each, what a press on one does.

// The line: one WebSocket a tab. It notices a dead line, comes back by itself, and a banner says when it is away.

const SETTLED = 300; // ms open until it counts as back: a full house closes at once
const SILENT = 3000; // ms away before the banner shows
const DEAD = 40_000; // ms without a message: the studio says something every 25 s
const LOOK = 1000; // ms between two looks at the clock
const KEPT = 6; // connections that a browser keeps to one address
const GIVEN = 1500; // ms for them to answer
const SMALL = new URL("../../favicon.svg", import.meta.url).pathname;
const SIGNED_OUT = 4401;
const AWAY = t("The studio doesn't answer. Your jobs continue; this page reconnects automatically.");
const WHY = /** @type {Record<number, string>} by code of closing */ ({
  4429: t("Too many tabs are open for this one to stay live. Close some; it reconnects automatically."),
  1013: t("Many people are here, so this page doesn't show what is new. It reconnects automatically."),
});

/**
 * Hear what is new from the page's point on. After a time away the studio tells what was missed, or says that the
 * news aren't complete: then all is read again.
 * @param {(news: News) => void} onNews
 */
export function followNews(onNews) {
  let tries = 0;
  let since = document.body.dataset.point ?? "";
  let heard = 0; // ms, by the clock
  /** @type {WebSocket | null} */
  let socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let again;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let silence;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let calm;

  const open = () => {
    clearTimeout(again);
    heard = Date.now();
    let wasOpen = false;
    const one = (socket = new WebSocket(new URL(`/api/live?since=${since}&person=${personId()}`, location.href.replace(/^http/, "ws"))));
    one.onopen = () => {
      wasOpen = true;
      heard = Date.now();
      sayLooks();
      calm = setTimeout(() => {
        tries = 0;
        clearTimeout(silence);
        silence = undefined;
        showBanner("");
      }, SETTLED);
    };
    one.onmessage = ({ data }) => {
      heard = Date.now();
      const news = JSON.parse(data || "{}");
      if (news.at === undefined) return; // a sign of life
      since = news.at;
      onNews(/** @type {News} */ (news));
    };
    one.onclose = ({ code }) => {
      if (code === SIGNED_OUT) return toSignIn();
      if (!wasOpen) fetchJson("/api/settings", {}).catch(() => {}); // a browser doesn't say why it wasn't let in; this does
      lost(code);
      again = setTimeout(open, pauseBefore(tries++));
    };
  };
  const lost = (/** @type {number} */ code) => {
    socket = null;
    clearTimeout(calm);
    silence ??= setTimeout(() => showBanner(WHY[code] ?? AWAY), SILENT);
  };
  const look = () => {
    if (!socket || Date.now() - heard < DEAD) return;
    socket.onopen = socket.onmessage = socket.onclose = null; // it may take minutes to notice by itself
    socket.close();
    lost(0);
    dropConnections();
    open();
  };
  const sayLooks = () => socket?.readyState === WebSocket.OPEN && socket.send(document.hidden ? "0" : "1"); // who looks isn't called
  const wake = () => (socket ? look() : open());
  setInterval(look, LOOK);
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", () => (sayLooks(), document.hidden || wake()));
  open();
}

/** Let the browser drop the connections that it keeps for other calls, where they are as dead: it asks for nothing else by them. */
function dropConnections() {
  const limit = new AbortController();
  setTimeout(() => limit.abort(), GIVEN);
  for (let n = 0; n < KEPT; n += 1) fetch(`${SMALL}?${n}`, { signal: limit.signal, cache: "no-store" }).catch(() => {});
}

/** @param {string} text  "" = all is well */
function showBanner(text) {
  const banner = document.getElementById("banner");
  if (!banner || banner.textContent === text) return;
  banner.textContent = text;
  banner.hidden = !text;
}

// What the server said last of each job, by the point of its news, in the order in which they are shown

/** A job, and what only lives here. `shown`: the preview that is decoded and can be drawn at once. */
/** `read`: which of this page's reads it comes from. @typedef {Job & {read?: number, shown?: string, fraction?: number | null, fetching?: boolean, left?: number | null, why?: string, paused?: boolean}} LiveJob */

const MOST_OVER = 60; // finished ones that stay, so that a page may be open for days

/** @param {Job} one @param {Job} other */
const newestFirst = (one, other) => (one.created === other.created ? Number(one.id < other.id) - 0.5 : one.created < other.created ? 1 : -1);

/** @type {Partial<Record<State["state"], Job["status"]>>} */
const STATUS = { queued: "queued", paused: "queued", rendered: "rendered", failed: "failed", cancelled: "cancelled" };

/**
 * The job after what the socket said of it. Pure.
 * @param {LiveJob} job
 * @param {State} state
 * @returns {LiveJob}
 */
export function withState(job, state) {
  const status = STATUS[state.state] ?? "running";
  if (job.over) return job;
  return {
    ...job,
    status,
    over: status === "failed" || status === "cancelled",
    position: status === "queued" ? (state.position ?? null) : null,
    eta: state.eta ?? null,
    held: state.held ?? false,
    why: state.why ?? "",
    starting: state.starting ?? false,
    paused: state.state === "paused",
    step: state.step ?? job.step,
    doing: state.doing ?? job.doing,
    total: state.total ?? job.total,
    preview: state.preview ?? job.preview,
    answer: state.text ?? job.answer,
    box: state.box ?? job.box ?? null,
    loading: state.state === "loading" ? (state.model ?? t("a model")) : null,
    fraction: state.state === "loading" ? state.fraction : null,
    fetching: state.fetching ?? false,
    left: state.left ?? null,
    error: state.error ?? job.error,
  };
}

export class Jobs {
  /**
   * @param {Job[]} jobs  that the page came with
   * @param {() => void} onChange
   * @param {(job: Job) => boolean} [belongs]  which ones this page shows
   */
  constructor(jobs, onChange, belongs = () => true) {
    this.most = Math.max(MOST_OVER, jobs.length); // finished ones that stay
    const at = Number(document.body?.dataset.point ?? 0);
    /** @type {Map<string, LiveJob>} */
    this.byId = new Map(jobs.map((job) => [job.id, { at, ...job }]));
    /** @type {Map<string, {state: State, at: number}>} what the socket said last of each that isn't over */
    this.told = new Map();
    this.at = 0; // point of the last news
    this.reads = 0;
    this.onChange = onChange;
    this.belongs = belongs;
    for (const job of jobs) this.#decode(job);
  }

  /** Those that the page shows, the newest first: a job keeps its place whatever becomes of it. @returns {LiveJob[]} */
  get all() {
    return [...this.byId.values()].filter(this.belongs).sort(newestFirst);
  }

  /**
   * Take these, also in place of what is known of them, unless that is newer.
   * @param {Job[]} jobs
   */
  add(jobs) {
    for (const job of jobs) if (!this.byId.has(job.id)) this.byId.set(job.id, { ...job, at: 0 });
    for (const job of jobs) this.#set(job);
    const over = [...this.byId.values()].filter((job) => job.over).sort(newestFirst);
    for (const { id } of over.slice(this.most)) this.byId.delete(id);
    this.onChange();
  }

  /** Take jobs that are older than those that are there. @param {Job[]} jobs */
  older(jobs) {
    this.most += jobs.length;
    this.add(jobs);
  }

  /** @param {string} id */
  drop(id) {
    this.byId.delete(id);
    this.onChange();
  }

  /** Read the whole list again: what was missed isn't known. */
  async reload() {
    const jobs = await untilAnswered(readJobs);
    const there = new Set(jobs.map((job) => job.id));
    for (const job of this.byId.values()) if (!job.over && !there.has(job.id)) await this.#reread(job.id);
    this.add(jobs);
  }

  /** @param {News} news */
  async take(news) {
    if (news.at < this.at) this.#forget(); // another start of the studio, by a clock that was set back
    this.at = news.at;
    for (const state of news.jobs) {
      this.told.set(state.id, { state, at: news.at });
      const job = this.byId.get(state.id);
      if (job) this.#set(job);
    }
    this.onChange();
    if (news.complete) await Promise.all(news.changed.map((id) => this.#reread(id)));
    else await this.reload();
  }

  #forget() {
    this.told.clear();
    for (const [id, job] of this.byId) this.byId.set(id, { ...job, at: 0 });
  }

  /** @param {string} id */
  async #reread(id) {
    const read = (this.reads += 1);
    try {
      const job = { ...(await untilAnswered(() => readJob(id))), read };
      if (job.over) this.told.delete(id);
      if (this.byId.has(id) || !job.over || this.#isNewest(job)) this.add([job]);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
      this.drop(id); // deleted, or no longer ours to see
    }
  }

  /** @param {Job} job */
  #isNewest(job) {
    return [...this.byId.values()].every((other) => other.created <= job.created);
  }

  /** Take what was read of a known job, unless it is older than what is known, and on top of it what was told since. @param {LiveJob} job */
  #set(job) {
    const known = this.byId.get(job.id);
    const at = job.at ?? 0;
    if (at < (known?.at ?? 0) || (at === known?.at && (job.read ?? 0) < (known.read ?? 0))) return;
    const told = this.told.get(job.id);
    const now = told && told.at > at ? withState(job, told.state) : job;
    this.byId.set(job.id, { ...now, at, shown: now.shown ?? known?.shown, topic: now.topic ?? known?.topic ?? null });
    if (now.preview && now.preview !== known?.preview) this.#decode(now);
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

/**
 * What is folded away behind each row: the other jobs of a prompt that asked for several behind its first one, earlier questions
 * about a picture behind the last. By the id of the row's own job; the newest first, of a prompt the oldest. Pure.
 * @param {LiveJob[]} jobs  newest first
 * @param {Set<string>} unfolded  sets that aren't folded
 * @returns {Map<string, LiveJob[]>}
 */
export function foldedRows(jobs, unfolded) {
  const sets = Map.groupBy(jobs.filter(({ set }) => set && !unfolded.has(set)), ({ set }) => set);
  const topics = Map.groupBy(jobs.filter(({ topic }) => topic), ({ topic }) => topic?.key);
  const rows = [...[...sets.values()].map((several) => several.toReversed()), ...topics.values()];
  return new Map(rows.flatMap(([shown, ...rest]) => (shown && rest.length ? [[shown.id, rest]] : [])));
}

/** Where a job waits, in words. @param {LiveJob} job */
export function waitingOf(job) {
  if (job.paused) return t("The studio restarts; this continues automatically");
  if (job.held) return t("On hold: the queue is paused");
  if (job.why) return t("{0} It is tried again{1}; the job keeps its place.", job.why, job.eta ? t(" in {0}", durationOf(job.eta)) : "");
  if (job.starting) return t("The studio is getting ready; {0}", (job.position ?? 1) > 1 ? t("place {0}", job.position) : t("this is next"));
  const eta = job.eta ? t(", about {0}", durationOf(job.eta)) : "";
  return job.position ? t("Place {0} in the queue{1}", job.position, eta) : `Waiting${eta}`;
}

/**
 * How far a job is, in words and as a share.
 * @param {LiveJob} job
 * @returns {[string, number | null]} what to say, and the share that is done
 */
export function stepOf(job) {
  if (job.status === "rendered") return [t("Almost there"), 1];
  if (job.loading) {
    const share = job.fraction ?? null;
    if (job.fetching) {
      const come = share === null ? "" : `, ${Math.floor(share * 100)} %`;
      return [t("The model {0} is being downloaded{1}{2}", job.loading, come, job.left ? t(", about {0}", durationOf(job.left)) : ""), share];
    }
    return [t("Loading {0}{1}", job.loading, share === null ? "" : `, ${Math.round(share * 100)} %`), share];
  }
  if (!job.total) return [t("Starting"), null];
  if (job.talk) return [job.doing === "thinking" ? t("Thinking") : t("Answering"), null]; // nobody knows how long it will be
  const share = (job.step ?? 0) / job.total;
  const doing = job.doing ? `, ${job.doing}` : "";
  return [`${Math.round(share * 100)} %${doing}${job.eta ? `, ${durationOf(job.eta)} left` : ""}`, share];
}

// A press on an action, whatever page it is on: ask what must be asked, tell the server, say what came of it

const questions = () => import("./dialog.js");

/** What a page does with new jobs and with one that is gone. */
/** @typedef {{added: (jobs: Job[]) => void, gone: (id: string) => void}} Sink */

/**
 * @param {Job} job
 * @param {number} n  from 1; 1 too for the job as a whole
 * @param {Action} action
 * @param {Sink} sink
 * @param {Record<string, unknown>} [filled]  what was filled in, where the page has fields for it
 */
export async function pressAction(job, n, action, sink, filled) {
  try {
    const before = action.action === "edit" ? "" : job.prompt; // an edit names what is to change
    const words = action.words && !filled ? await (await questions()).askWords(action.label, before) : undefined;
    if (words === null) return;
    const more = filled ?? (words === undefined ? {} : { words });
    sink.added(await sendOnce([job.id, n, action.action, more], (key) => pressJob(job.id, n, action.action, more, key)));
  } catch (error) {
    showError(error);
  }
}

/** @param {Pick<Job, "id">} job */
export async function stopJob(job) {
  try {
    const { stopped } = /** @type {{stopped: boolean}} */ (await cancelJob(job.id));
    showToast(stopped ? t("Stopped") : t("It was done already"));
  } catch (error) {
    showError(error);
  }
}

/**
 * Put a job's pictures into the trash; one without pictures is deleted, after a question.
 * @param {Job} job
 * @param {{gone: (id: string) => void, back: () => void | Promise<void>}} page
 */
export async function removeJob(job, page) {
  if (!job.pictures.length) return deleteJobForGood(job, page);
  await trashPictures(job.pictures.map(({ n }) => ({ job: job.id, n })), { gone: () => page.gone(job.id), back: page.back });
}

/**
 * Delete a job, after a question.
 * @param {Job} job
 * @param {Pick<Sink, "gone">} sink
 */
export async function deleteJobForGood(job, sink) {
  const what = job.pictures.length ? t("This deletes the job and its {0} for good.", countOf(job.pictures.length, "picture")) : t("This deletes the job for good.");
  const { askConfirmed } = await questions();
  if (!(await askConfirmed(t("Delete it?"), what, "Delete", { bad: true }))) return;
  try {
    await deleteJob(job.id);
    sink.gone(job.id);
    showToast(t("Deleted"));
  } catch (error) {
    showError(error);
  }
}

/**
 * Ask for what a prompt says; when it stands for several jobs, only after a question. Returns the new jobs,
 * null when nothing was asked for in the end. Raises Problem.
 * @param {string} prompt
 * @param {string[]} pictures  names, also of videos
 * @param {string} [to]  what is to be done with videos, "" = guess
 * @returns {Promise<Job[] | null>}
 */
export async function sendPrompt(prompt, pictures, to = "") {
  try {
    return await sendOnce([prompt, pictures, to], (key) => sendJob(prompt, pictures, key, to));
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 409 || !error.body.draft) throw error;
    const count = Number(error.body.count);
    const { askConfirmed } = await questions();
    if (!(await askConfirmed(t("Start {0}?", countOf(count, "job")), error.message, t("Start {0}", count)))) return null;
    const { jobs, detail } = await confirmDraft(String(error.body.draft));
    if (detail) showToast(detail, { bad: true });
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
      showError(error);
    },
  });
  outbox().put({ name, method: on ? "PUT" : "DELETE", path: `/api/favourites/${job}/${picture.n}` });
}

/**
 * Put text on the clipboard; where that is forbidden (http on another machine), offer it to be copied by hand.
 * @param {string} text
 * @param {string} what
 */
export async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    showToast(`${what} copied`);
  } catch {
    await (await questions()).askWords(t("Copy this"), text);
  }
}

/** Take over the form that makes a link, where the page has one. */
export function offerShare() {
  const form = document.getElementById("share-form");
  if (!(form instanceof HTMLFormElement)) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const link = await (await questions()).makeLink(form);
    if (link) await copyText(link, t("Link"));
  });
}

/** On pages without a stream: says that a job was queued, and when it is done. */
export class Announcer {
  constructor() {
    /** @type {Set<string>} */
    this.waiting = new Set();
  }

  /** @param {Job[]} jobs */
  added(jobs) {
    for (const { id } of jobs) this.waiting.add(id);
    showToast(jobs.length > 1 ? t("{0} jobs queued", jobs.length) : t("Queued"), { link: { href: "/", label: t("Watch") } });
  }

  /** @param {News} news */
  async take(news) {
    const changed = new Set(news.changed);
    for (const id of [...this.waiting].filter((one) => !news.complete || changed.has(one))) {
      const job = await untilAnswered(() => readJob(id));
      if (!job.over || !this.waiting.delete(id)) continue;
      if (job.error) showToast(job.error, { bad: true, link: { href: "/", label: t("Show") } });
      else showToast(`${job.name} done`, { link: { href: job.pictures[0]?.href ?? "/", label: t("Show") } });
    }
  }
}

/**
 * Put pictures into the trash and tell so, with a way back.
 * @param {Named[]} pictures
 * @param {{gone: () => void, back: () => void | Promise<void>}} page  what it does when they are gone, and when they are back
 */
export async function trashPictures(pictures, { gone, back }) {
  const names = pictures.map(pictureName);
  try {
    await moveToTrash(names);
  } catch (error) {
    return showError(error);
  }
  gone();
  tellTrashed(names, back);
}

/**
 * @param {string[]} names
 * @param {() => void | Promise<void>} back
 */
function tellTrashed(names, back) {
  const undo = async () => {
    try {
      await restorePictures(names);
      await back();
    } catch (error) {
      showError(error);
    }
  };
  showToast(t("{0} moved to the trash", countOf(names.length, "picture")), { press: { label: t("Undo"), work: undo } });
}

/**
 * Put one picture away, and let the next page tell so.
 * @param {Named} picture
 * @param {() => void} leave
 */
export async function trashAndLeave(picture, leave) {
  try {
    await moveToTrash([pictureName(picture)]);
  } catch (error) {
    return showError(error);
  }
  leaveNote("away", pictureName(picture));
  leave();
}

/**
 * Tell what the page before has put into the trash, with a way back.
 * @param {() => void | Promise<void>} back  when it is taken back
 */
export function tellAway(back) {
  const name = takeNote("away");
  if (name) tellTrashed([name], back);
}
