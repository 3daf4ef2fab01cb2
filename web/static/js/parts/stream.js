// A page's stream of jobs: draws the cards again when the server tells something new.
import { nothing, render } from "../../vendor/lit-html/lit-html.js";
import { copyText, followNews, Jobs, pressAction, removeJob, stopJob, toggleFavourite } from "../core/jobs.js";
import { element, oncePerFrame, Rows } from "../core/page.js";
import { complain, toast } from "../core/text.js";
import { keepTrail } from "../viewer/trail.js";
import { tellDone } from "./done.js";
import { jobCard } from "./job-card.js";

/** @import {TemplateResult} from "../../vendor/lit-html/lit-html.js" */
/** @import {LiveJob} from "../core/jobs.js" */
/** @import {Action, Job, Picture} from "../types.js" */
/** @import {Bar} from "./bar.js" */

const MINUTE = 60_000; // ms

export class Stream {
  /**
   * @param {Job[]} jobs
   * @param {Bar} bar
   * @param {() => TemplateResult} empty  shown while there is no job
   * @param {(job: Job) => boolean} [belongs]
   */
  constructor(jobs, bar, empty, belongs) {
    this.place = element("jobs", HTMLElement);
    this.bar = bar;
    this.empty = empty;
    this.jobs = new Jobs(jobs, oncePerFrame(() => this.draw()), belongs);
    this.tools = {
      act: (/** @type {LiveJob} */ job, /** @type {Action} */ action) => pressAction(job, 1, action, this),
      stop: stopJob,
      remove: (/** @type {LiveJob} */ job) => removeJob(job, { gone: (id) => this.gone(id), back: () => this.jobs.reload() }),
      use: (/** @type {string} */ prompt) => bar.put(prompt),
      flag: (/** @type {string} */ flag) => bar.addFlag(flag),
      favourite: (/** @type {LiveJob} */ job, /** @type {Picture} */ picture) => toggleFavourite(job.id, picture, () => this.jobs.onChange()),
      menu: (/** @type {Event} */ event, /** @type {LiveJob} */ job, /** @type {Picture} */ picture) => this.#menu(event, job, picture),
    };
    /** @type {Rows<LiveJob>} */
    this.cards = new Rows(this.place, (job) => job.id, (job) => jobCard(job, this.tools));
    this.place.replaceChildren();
    this.draw();
    setInterval(this.jobs.onChange, MINUTE); // "5 minutes ago" goes on
    followNews((news) => this.jobs.take(news).catch(complain));
    this.place.addEventListener("click", ({ target }) => target instanceof Element && target.closest("a") && keepTrail(this.jobs.all.flatMap((job) => job.pictures.map(({ href }) => href))), true);
  }

  draw() {
    const jobs = this.jobs.all;
    tellDone(jobs);
    this.cards.draw(jobs);
    render(jobs.length ? nothing : this.empty(), this.place);
  }

  /** @param {Job[]} jobs */
  added(jobs) {
    this.jobs.add(jobs);
    const top = scrollY < 200;
    if (!top) toast(jobs.length > 1 ? `${jobs.length} jobs queued` : "Queued", { press: { label: "Show", work: () => scrollTo({ top: 0 }) } });
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
    const { openMenu } = await import("./menu.js");
    const names = [...new Set(job.picture_actions.map(({ group }) => group))];
    const groups = names.map((name) => ({
      name,
      items: job.picture_actions.filter(({ group }) => group === name).map((action) => entryOf(action, picture, () => pressAction(job, picture.n, action, this))),
    }));
    const own = [
      { label: "Open", icon: "expand", href: picture.href },
      { label: "Download", icon: "download", href: `${picture.film?.src ?? picture.original}?download=1`, download: true },
      ...(picture.seed === null ? [] : [{ label: "Copy seed", icon: "seed", work: () => copyText(String(picture.seed), "Seed") }]),
      { label: picture.film ? "Use film" : "Use picture", icon: "image", work: () => this.bar.attach(job.id, picture) },
    ];
    const what = picture.film ? "film" : "picture";
    openMenu(button, `Actions for ${what} ${picture.n}`, [...groups, { name: picture.film ? "Film" : "Picture", items: own }]);
  }
}

/**
 * An action as an entry of a menu; one that asks for more leads to the page that has the fields for it.
 * @param {Action} action
 * @param {Picture} picture
 * @param {() => void} work
 */
const entryOf = (action, picture, work) => (action.form ? { label: `${action.label} …`, href: `${picture.href}#actions` } : { label: action.label, work });
