// The desk: one picture, its labels as buttons and keys, what was done undone, the next one loaded ahead.
import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { change } from "../js/core/api.js";
import { icon } from "../js/core/page.js";
import { shortcuts } from "../js/core/shortcuts.js";
import { complain, say } from "../js/core/toasts.js";
import { emptyState } from "../js/parts/empty.js";
import { Boxes } from "./boxes.js";
import { Brush } from "./brush.js";

/** @import {Box, Item, Project} from "./types.js" */
/** @import {Painted} from "./brush.js" */
/** @typedef {{item: Item, did: "label" | "skip" | "out", boxes: Box[], painted: Painted}} Done  what was done to a picture */

const KEYS = 9; // labels that have a digit

export class Desk {
  /**
   * @param {HTMLElement} place
   * @param {Project} project
   * @param {Item} picture
   */
  constructor(place, project, picture) {
    this.place = place;
    this.project = project;
    /** @type {Item | null} */
    this.now = picture;
    /** @type {Done[]} */
    this.done = [];
    /** @type {Set<string>} those that aren't asked for again: skipped, or on their way */
    this.passed = new Set();
    this.left = project.left;
    /** @type {Promise<unknown>} calls go one after the other */
    this.before = Promise.resolve();
    this.waiting = 0; // calls that aren't through
    addEventListener("beforeunload", (event) => this.waiting && event.preventDefault());
    this.brush = new Brush(() => this.#draw());
    this.boxes = new Boxes(() => this.#draw(), (frame, event) => this.brush.press(frame, event));
    this.boxes.set(picture.mark?.boxes ?? []);
    this.ahead = this.#fetch();
    shortcuts({
      ArrowRight: () => this.skip(),
      ArrowLeft: () => this.undo(),
      s: () => this.skip(),
      z: () => this.undo(),
      x: () => this.leaveOut(),
      b: () => this.boxes.begin(),
      p: () => this.brush.choose("paint"),
      e: () => this.brush.choose("erase"),
      u: () => this.brush.undo(),
      f: () => this.brush.fill(this.boxes.sides),
      ",": () => this.brush.resize(-1),
      ".": () => this.brush.resize(1),
    });
    for (let digit = 1; digit <= KEYS; digit++) {
      shortcuts({
        [digit]: () => {
          const label = this.project.labels[digit - 1];
          if (label) this.label(label.name);
        },
      });
    }
    place.replaceChildren();
    this.#draw();
  }

  /** @param {string} name */
  label(name) {
    if (!this.now) return;
    const item = this.now;
    const boxes = this.boxes.named(name);
    const send = this.brush.sending;
    this.#go("label", boxes);
    this.#call(async () => change("POST", `/api/projects/${this.project.id}/marks`, { picture: item.id, label: name, boxes, mask: await send() }));
    say(name);
  }

  skip() {
    if (!this.now) return;
    this.#go("skip", []);
    say("Skipped");
  }

  leaveOut() {
    if (!this.now) return;
    const item = this.now;
    this.#go("out", []);
    this.#call(() => change("POST", `/api/projects/${this.project.id}/leave-out`, { pictures: [item.id], out: true }));
    say("Left out");
  }

  undo() {
    const last = this.done.pop();
    if (!last) return;
    const { item, did } = last;
    if (did !== "skip") this.left += 1;
    if (did === "label") this.#call(() => change("POST", `/api/projects/${this.project.id}/marks`, { picture: item.id, label: "" }));
    if (did === "out") this.#call(() => change("POST", `/api/projects/${this.project.id}/leave-out`, { pictures: [item.id], out: false }));
    if (this.now) this.ahead = Promise.resolve(this.now); // it comes again afterwards
    this.now = item;
    this.boxes.set(last.boxes);
    this.brush.take(last.painted);
    say("Undone");
    this.#draw();
  }

  /**
   * Note what was done to the picture, and show the next one.
   * @param {Done["did"]} did
   * @param {Box[]} boxes
   */
  #go(did, boxes) {
    const item = /** @type {Item} */ (this.now);
    this.done.push({ item, did, boxes, painted: this.brush.state });
    this.brush.take({ base: null, strokes: [] });
    if (did !== "skip") this.left -= 1;
    this.passed.add(item.id);
    this.boxes.set([]);
    this.now = null; // the picture stays in sight until the next one is there
    this.ahead.then((found) => {
      if (this.now) return; // something was undone meanwhile
      this.now = found && this.done.some((one) => one.item.id === found.id) ? null : found;
      if (found && !this.now) {
        this.ahead = this.#fetch();
        this.ahead.then((other) => this.#show(other), complain);
        return;
      }
      this.#show(found);
    }, complain);
  }

  /** @param {Item | null} found */
  #show(found) {
    this.now = found;
    this.boxes.set(found?.mark?.boxes ?? []);
    if (found) this.passed.add(found.id);
    this.ahead = found ? this.#fetch() : Promise.resolve(null);
    this.#draw();
  }

  /**
   * The next picture, loaded before it is wanted.
   * @returns {Promise<Item | null>}
   */
  async #fetch() {
    if (this.now) this.passed.add(this.now.id);
    const skipped = [...this.passed].slice(-400);
    const { picture } = /** @type {{picture: Item | null}} */ (await change("POST", `/api/projects/${this.project.id}/next`, { skipped }));
    if (picture) new Image().src = picture.whole;
    return picture;
  }

  /** @param {() => Promise<unknown>} work */
  #call(work) {
    this.waiting += 1;
    this.place.ariaBusy = "true";
    const through = () => (this.place.ariaBusy = String((this.waiting -= 1) > 0));
    this.before = this.before.then(work).catch(complain).finally(through);
  }

  #draw() {
    render(this.now ? this.#shown(this.now) : this.#nothing(), this.place);
    if (!this.now) return;
    const frame = /** @type {HTMLElement} */ (this.place.querySelector(".desk-frame"));
    this.brush.draw(frame, this.now.id, this.now.mark?.mask ?? null);
    this.boxes.draw(frame);
  }

  #nothing() {
    const skipped = this.done.filter(({ did }) => did === "skip").length;
    const again = html`<div class="job-actions">${skipped ? html`<a class="button" href="${this.project.href}/label">Show the skipped ones</a>` : nothing}
      ${this.done.length ? html`<button class="button quiet" type="button" @click=${() => this.undo()}>${icon("undo")}Undo</button>` : nothing}
      <a class="button quiet" href=${this.project.href}>Pictures</a></div>`;
    return emptyState("check", skipped ? "The rest was skipped" : "Every picture has its label", "", again);
  }

  /** @param {Item} item */
  #shown(item) {
    return html`<div class="desk">
      <div class="desk-picture"><div class="desk-frame"><img src=${item.whole} alt="The picture to label, ${item.said}" draggable="false"></div></div>
      <div class="desk-side">
        <p class="muted">${Math.max(1, this.left)} left${item.state === "disputed" ? html` · people disagree about this one` : nothing}</p>
        ${item.doubt ? html`<p>It is called ${item.label}; version ${item.doubt.version}, which hadn’t seen it, takes it for ${item.doubt.rather}. Please look again.</p>` : nothing}
        <div class="desk-labels">${this.project.labels.map((label, index) => html`<button class="button quiet" type="button" @click=${() => this.label(label.name)}>
          ${index < KEYS ? html`<kbd>${index + 1}</kbd>` : nothing}<span>${label.name}${label.meaning ? html` <span class="meaning">${label.meaning}</span>` : nothing}</span></button>`)}</div>
        ${this.project.labels.length ? nothing : html`<p class="muted">There are no labels yet. Add some on <a href="${this.project.href}/settings">Settings</a>.</p>`}
        <div class="job-actions">
          <button class="button quiet small" type="button" @click=${() => this.skip()}>Skip <kbd>→</kbd></button>
          <button class="button quiet small" type="button" ?disabled=${!this.done.length} @click=${() => this.undo()}>Undo <kbd>←</kbd></button>
          <button class="button quiet small" type="button" @click=${() => this.leaveOut()}>Leave out <kbd>x</kbd></button>
        </div>
        ${this.boxes.panel()}
        ${this.project.task === "detect" ? nothing : this.brush.panel(this.boxes.sides)}
      </div>
    </div>`;
  }
}
