// The pages of jobs: Create, on which pictures are asked for and appear, and the queue of what waits or is being drawn.
import { nothing, render } from "../vendor/lit-html/lit-html.js";
import { keepForGood, keepTrail, keptForGood, personId, readJobs, readQueues, readTurns } from "./core/api.js";
import { copyText, foldedRows, followNews, Jobs, pressAction, removeJob, stopJob, toggleFavourite } from "./core/jobs.js";
import { addShortcuts, elementOf, emptyState, icon, oncePerFrame, pageData, Rows, SAVE, startPage, unhide } from "./core/page.js";
import { announce, countOf, durationOf, html, showError, showToast, splitPrompt, t } from "./core/text.js";
import { Bar } from "./parts/bar.js";
import { jobCard } from "./parts/job-card.js";
import { Drafts } from "./parts/sheet.js";

/** @import {TemplateResult} from "../vendor/lit-html/lit-html.js" */
/** @import {LiveJob} from "./core/jobs.js" */
/** @import {About, Chip} from "./parts/about.js" */
/** @import {Asked} from "./parts/job-card.js" */
/** @import {Action, Job, Picture, Queue, QueuedJob} from "./types.js" */

const title = document.title;
/** @type {Set<string>} */
let live = new Set();

/** Say that jobs are over: to screen readers at once, and in the title of a tab that nobody looks at. @param {Job[]} jobs  as they are now */
function tellDone(jobs) {
  const done = jobs.filter(({ id, over }) => over && live.has(id));
  live = new Set(jobs.filter(({ over }) => !over).map(({ id }) => id));
  for (const job of done) announce(`${job.prompt || job.name}: ${outcome(job)}`);
  if (document.hidden && done.length) document.title = `✓ ${title}`;
}

/** @param {Job} job */
function outcome({ status, error, pictures }) {
  if (status === "failed") return error ?? t("it failed");
  if (status === "cancelled") return "stopped";
  if (!pictures.length) return "done";
  return `${countOf(pictures.length, pictures.some(({ video }) => video) ? "video" : "picture")} ready`;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) document.title = title;
});

const DRAWN = new URL("../drawn", import.meta.url).pathname; // what the demo model made of its hints
const MINUTE = 60_000; // ms
const ARROWS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

/** @param {DOMRect} box */
const middleOf = (box) => [box.left + box.width / 2, box.top + box.height / 2];

/** Move to the nearest picture that way; to the first in sight where none has the focus. @param {KeyboardEvent} event */
function moveTo(event) {
  const [right = 0, down = 0] = ARROWS[event.key] ?? [];
  const links = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".job .cell > :is(a, .draft)")]);
  const from = links.find((one) => one === document.activeElement);
  const boxes = links.map((one) => one.getBoundingClientRect());
  if (!from) {
    event.preventDefault();
    return links.find((_, n) => (boxes[n]?.top ?? 0) > 80)?.focus();
  }
  const [x = 0, y = 0] = middleOf(from.getBoundingClientRect());
  let [best, least] = [from, Infinity];
  links.forEach((one, n) => {
    const [otherX = 0, otherY = 0] = middleOf(/** @type {DOMRect} */ (boxes[n]));
    const [along, across] = right ? [(otherX - x) * right, otherY - y] : [(otherY - y) * down, otherX - x];
    const far = along + 3 * Math.abs(across);
    if (along > 4 && far < least && (down || Math.abs(across) < 20)) [best, least] = [one, far];
  });
  event.preventDefault();
  best.focus();
}

/** @param {(href: string) => string} address  of what is opened, of the picture that has the focus */
const openFocused = (address) => () => {
  const href = document.activeElement?.closest(".job .cell")?.querySelector("a")?.getAttribute("href");
  if (href) location.assign(address(href));
};

/** What came while nobody looked: marked once, from the last time that this person saw the page in this browser. */
class Away {
  constructor() {
    this.name = `seen.${personId()}`;
    /** @type {string | null} */
    this.since = keptForGood(this.name); // when what was seen last had been finished
    this.newest = this.since ?? "";
    /** @type {Set<string>} jobs that ended before somebody's eyes */
    this.watched = new Set();
    /** @type {Set<string>} */
    this.live = new Set();
    addEventListener("pagehide", () => this.#leave());
    document.addEventListener("visibilitychange", () => document.hidden && this.#leave());
  }

  /** @param {LiveJob} job */
  isFresh({ id, finished, error, status }) {
    return Boolean(this.since !== null && finished && finished > this.since && !error && status !== "cancelled" && !this.watched.has(id));
  }

  /** @param {LiveJob[]} jobs */
  note(jobs) {
    for (const { id, over, finished } of jobs) {
      if (!over) this.live.add(id);
      else if (this.live.delete(id) && !document.hidden) this.watched.add(id);
      if (finished && finished > this.newest) this.newest = finished;
    }
    if (this.since === null && !document.hidden) this.since = this.newest; // the first visit: nothing came meanwhile
    if (!document.hidden) keepForGood(this.name, this.newest);
  }

  #leave() {
    this.since = this.newest;
  }
}

/** Draws the cards of jobs again when the server tells something new. */
class Stream {
  /**
   * @param {Job[]} jobs
   * @param {Bar} bar
   * @param {() => TemplateResult} empty  shown while there is no job
   * @param {(job: Job) => boolean} [belongs]
   * @param {(job: Job, picture?: Picture) => void} [talk]  lets words change a picture
   */
  constructor(jobs, bar, empty, belongs, talk) {
    this.place = elementOf("jobs", HTMLElement);
    this.bar = bar;
    /** @type {Set<string>} sets whose jobs all stand there */
    this.unfolded = new Set();
    /** @type {Map<string, LiveJob[]>} what is folded away behind a row's job */
    this.folded = new Map();
    /** @type {Map<string, Asked[]>} questions before one, where they are unfolded */
    this.turns = new Map();
    /** @type {Set<string>} jobs that were under way while the page was open */
    this.begun = new Set();
    this.away = new Away();
    this.empty = empty;
    this.jobs = new Jobs(jobs, oncePerFrame(() => this.draw()), belongs);
    this.tools = {
      act: (/** @type {LiveJob} */ job, /** @type {Action} */ action) => pressAction(job, 1, action, this),
      stop: stopJob,
      remove: (/** @type {LiveJob} */ job) => removeJob(job, { gone: (id) => this.gone(id), back: () => this.jobs.reload() }),
      use: (/** @type {string} */ prompt) => bar.put(prompt),
      flag: (/** @type {string} */ flag) => bar.addFlag(flag),
      favourite: (/** @type {LiveJob} */ job, /** @type {Picture} */ picture) => toggleFavourite(job.id, picture, () => this.jobs.onChange()),
      sheet: new Drafts((job, n) => this.#drawInFull(job, n), () => this.draw()),
      menu: (/** @type {Event} */ event, /** @type {LiveJob} */ job, /** @type {Picture} */ picture) => this.#menu(event, job, picture),
      rest: (/** @type {LiveJob} */ job) => this.folded.get(job.id) ?? [],
      unfold: (/** @type {LiveJob} */ job) => (job.talk ? this.#unfoldTalk(job) : this.#unfoldSet(job)),
      earlier: (/** @type {LiveJob} */ job) => this.turns.get(job.id)?.map((one) => this.jobs.byId.get(one.id) ?? one),
      talk,
      begun: (/** @type {LiveJob} */ job) => this.begun.has(job.id),
      fresh: (/** @type {LiveJob} */ job) => this.away.isFresh(job),
    };
    /** @type {Rows<LiveJob>} */
    this.cards = new Rows(this.place, (job) => job.id, (job) => jobCard(job, this.tools));
    this.none = document.createComment("what stands before it is shown while there is no job");
    this.place.replaceChildren(this.none);
    this.draw();
    setInterval(this.jobs.onChange, MINUTE); // "5 minutes ago" goes on
    followNews((news) => this.jobs.take(news).catch(showError));
    this.place.addEventListener("click", ({ target }) => target instanceof Element && target.closest("a") && keepTrail(this.jobs.all.flatMap((job) => job.pictures.map(({ href }) => href))), true);
  }

  draw() {
    const jobs = this.jobs.all;
    tellDone(jobs);
    this.away.note(jobs);
    for (const { id, over } of jobs) if (!over) this.begun.add(id);
    const followed = new Set(jobs.map(({ follows }) => follows));
    const ends = jobs.filter(({ id }) => !followed.has(id));
    this.folded = foldedRows(ends, this.unfolded);
    const away = new Set([...this.folded.values()].flat());
    this.cards.draw(ends.filter((job) => !away.has(job)));
    render(jobs.length ? nothing : this.empty(), this.place, { renderBefore: this.none });
  }

  /** @param {LiveJob} job */
  #unfoldSet({ set }) {
    if (set) this.unfolded.add(set);
    this.draw();
  }

  /** Show the questions before one: of its conversation, and others about its picture with theirs. @param {LiveJob} job */
  async #unfoldTalk(job) {
    try {
      if (!this.turns.delete(job.id)) {
        const ends = [...(this.folded.get(job.id) ?? []).toReversed(), job];
        const asked = await Promise.all(ends.map(async (end) => [...(end.follows ? await readTurns(end.id) : []), end]));
        const byId = new Map(asked.flat().map((one) => [one.id, one])); // branches have their first turns in common
        byId.delete(job.id);
        this.turns.set(job.id, [...byId.values()]);
      }
      this.draw();
    } catch (error) {
      showError(error);
    }
  }

  /** @param {LiveJob} job @param {number} n  of a draft */
  async #drawInFull(job, n) {
    const action = job.picture_actions.find((one) => one.action === "full");
    if (action) await pressAction(job, n, action, this);
  }

  /** @param {Job[]} jobs */
  added(jobs) {
    this.jobs.add(jobs);
    const top = scrollY < 200;
    if (!top) showToast(jobs.length > 1 ? t("{0} jobs queued", jobs.length) : t("Queued"), { press: { label: t("Show"), work: () => scrollTo({ top: 0 }) } });
  }

  /** @param {string} id */
  gone(id) {
    this.jobs.drop(id);
    this.bar.field.focus({ preventScroll: true });
  }

  /**
   * @param {Event} event
   * @param {LiveJob} job
   * @param {Picture} picture
   */
  async #menu(event, job, picture) {
    const button = /** @type {HTMLElement} */ (event.currentTarget);
    const { openMenu } = await import("./parts/menu.js");
    const names = [...new Set(job.picture_actions.map(({ group }) => group))];
    const groups = names.map((name) => ({
      name,
      items: job.picture_actions.filter(({ group }) => group === name).map((action) => entryOf(action, picture, () => pressAction({ ...job, prompt: picture.prompt }, picture.n, action, this))),
    }));
    const own = [
      { label: t("Open"), icon: "expand", href: picture.href },
      { label: SAVE, icon: "download", href: `${picture.video?.src ?? picture.original}?download=1`, download: true },
      ...(picture.seed === null ? [] : [{ label: t("Copy seed"), icon: "seed", work: () => copyText(String(picture.seed), t("Seed")) }]),
      ...(this.tools.talk && job.mine && !picture.video ? [{ label: t("Talk about it"), icon: "words", work: () => this.tools.talk?.(job, picture) }] : []),
      { label: picture.video ? t("Use video") : t("Use picture"), icon: "image", work: () => this.bar.attach(job.id, picture) },
    ];
    const what = picture.video ? "video" : "picture";
    openMenu(button, t("Actions for {0} {1}", what, picture.n), [...groups, { name: picture.video ? t("Video") : t("Picture"), items: own }]);
  }
}

/**
 * An action as an entry of a menu; one that asks for more leads to the page that has the fields for it.
 * @param {Action} action
 * @param {Picture} picture
 * @param {() => void} work
 */
const entryOf = (action, picture, work) => (action.form ? { label: `${action.label} …`, href: `${picture.href}#actions` } : { label: action.label, work });

const EVERY = 3000; // ms

/** The queues of servers that the reader manages: drawn again every few seconds while somebody looks. */
class Managed {
  /** @param {Queue[]} queues */
  constructor(queues) {
    this.queues = queues;
    /** @type {Map<string, Rows<QueuedJob>>} by the queue's name */
    this.rows = new Map();
    this.place = elementOf("managed", HTMLElement);
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
    const state = queue.paused ? ", paused" : queue.draining ? t(", taking no new jobs") : "";
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
    const words = job.private ? html`${icon("lock")}Private` : job.prompt || job.name;
    return html`<li class="row">
      <div><p class="managed-words">${words}</p><p class="muted small">${aboutJob(job)}</p></div>
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
function aboutJob({ who, name, position, percent, eta, device }) {
  const state = position ? t("place {0}", position) : percent === null ? "starting" : `${percent} %`;
  return [who, name, state, eta ? t("about {0}", durationOf(eta)) : "", device ?? ""].filter(Boolean).join(" · ");
}

/** @param {Job} job @param {Picture} picture @param {boolean} whole  all of the job's are meant @returns {Chip} */
const chipOf = (job, picture, whole) => {
  const words = `“${splitPrompt(job.prompt).words.slice(0, 40)}”`;
  const thumb = picture.visibility === "show" ? picture.small : null;
  if (job.pictures.length < 2) return { label: t("this picture"), name: words, thumb, picture: `${job.id} ${picture.n}` };
  if (whole && !picture.video) return { label: t("these pictures"), name: t("one of {0}, {1}", countOf(job.pictures.length, "picture"), words), thumb, picture: job.id };
  return { label: t("this picture"), name: t("picture {0} of {1}", picture.n, words), thumb, picture: `${job.id} ${picture.n}` };
};

function startCreate() {
  const { jobs, more, show, hints, drawn, promise, chip } = /** @type {{jobs: Job[], more: boolean, show: string, hints: string[], drawn: boolean, promise: string, chip: Chip | null}} */ (pageData());
  const draw = (/** @type {Event} */ event, /** @type {string} */ hint) => {
    event.preventDefault();
    bar.put(hint);
    bar.form.requestSubmit();
  };

  const bar = new Bar(jobs.filter(({ mine }) => mine).map(({ prompt }) => prompt), (sent) => stream.added(sent));
  const toggle = document.getElementById("bar-talk");
  /** @type {Promise<About> | undefined} read when somebody begins to talk */
  let talking;
  const follow = (/** @type {Chip | null} */ one) => {
    talking ??= import("./parts/about.js").then(({ About }) => new About(bar, ({ href }) => location.assign(href)));
    talking.then((about) => {
      about.show(one);
      bar.field.focus();
    }).catch(showError);
  };
  /** @param {Job} job @param {Picture} [picture] */
  const talk = (job, picture) => {
    const one = picture ?? job.pictures[0];
    if (one) follow(chipOf(job, one, !picture));
  };
  if (toggle) {
    unhide("bar-talk");
    toggle.addEventListener("click", () => {
      const newest = stream.jobs.all.find(({ mine, pictures }) => mine && pictures[0]?.video === null);
      if (toggle.ariaPressed === "true") follow(null);
      else if (newest) talk(newest);
      else showToast(t("Draw a picture first. Then you can say what is to change."));
    });
  }
  if (chip) follow(chip);
  const empty = () => show ? emptyState("search", t("Nothing of this kind yet"), t("What you ask for appears here."), html`<a class="button quiet" href="/">Show everything</a>`) : html`<div class="empty"><h2>Describe a picture</h2><p class="muted">${promise}</p>
    ${drawn ? html`<p class="muted small">Drawn by the model in use here. Press one to draw it again.</p>` : nothing}
    <div class="hints ${drawn ? "drawn" : ""}">${hints.map((hint, n) => html`<a href="/?prompt=${encodeURIComponent(hint)}" @click=${(/** @type {Event} */ event) => draw(event, hint)}>${drawn ? html`<img src="${DRAWN}/${n + 1}.webp" width="320" height="320" alt="">` : nothing}${hint}</a>`)}</div></div>`;
  const stream = new Stream(jobs, bar, empty, (job) => !show || job.group === show, toggle ? talk : undefined);
  const older = document.getElementById("older");
  if (older) older.hidden = !more;
  older?.addEventListener("click", async () => {
    try {
      const before = stream.jobs.all.findLast(({ over }) => over)?.id ?? "";
      const found = await readJobs({ show, before });
      stream.jobs.older(found);
      older.hidden = !found.length;
    } catch (error) {
      showError(error);
    }
  });
  for (const key of Object.keys(ARROWS)) addShortcuts({ [key]: moveTo });
  addShortcuts({ e: openFocused((href) => href.replace("/pictures/", "/edit/")), a: openFocused((href) => `${href}#question`) });
  if (location.search) history.replaceState(null, "", location.pathname + (show ? `?show=${show}` : "") + location.hash); // a reload begins anew
}

function startQueue() {
  const { jobs, queues } = /** @type {{jobs: Job[], queues: Queue[]}} */ (pageData());

  const bar = new Bar(null, (sent) => stream.added(sent));
  const empty = () =>
    emptyState("check", t("Nothing of yours is waiting"), t("What you ask for, here or in Discord, shows up here until it is done."), html`<a class="button" href="/">Create</a>`);
  const stream = new Stream(jobs, bar, empty, (job) => !job.over);
  new Managed(queues);
}

startPage({ create: startCreate, queue: startQueue });
