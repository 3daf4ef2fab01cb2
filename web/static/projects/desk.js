// The desk: one picture, its labels as buttons and keys, what was done undone, the next one loaded ahead.
import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { change, outbox, untilAnswered } from "../js/core/api.js";
import { emptyState, icon, shortcuts } from "../js/core/page.js";
import { complain, counted, say } from "../js/core/text.js";
import { Boxes } from "./boxes.js";
import { Brush } from "./brush.js";

/** @import {Letter} from "../js/core/api.js" */
/** @import {Painted} from "./brush.js" */
/** @import {Box, Item, Project} from "./types.js" */

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
    this.outbox = outbox();
    this.outbox.senders.set(`desk:${project.id}`, { changed: () => this.#said(), refused: (letter, error) => this.#refused(letter, error) });
    this.left = project.left - this.unsent.length;
    /** @type {Promise<unknown>} what is painted is made a file before it is sent, one after the other */
    this.before = Promise.resolve();
    this.status = Object.assign(document.createElement("p"), { className: "muted small", role: "status" });
    place.before(this.status);
    this.brush = new Brush(() => this.#draw());
    this.boxes = new Boxes(() => this.#draw(), (frame, event) => this.brush.press(frame, event));
    this.boxes.set(picture.mark?.boxes ?? []);
    for (const name of this.unsent) this.passed.add(name);
    this.ahead = this.#fetch();
    if (this.passed.has(picture.id) && this.unsent.length) this.#next(); // it has its label, which is on its way
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
    if (this.now) this.#draw();
    this.#said();
  }

  /** @param {string} name */
  label(name) {
    if (!this.now) return;
    const item = this.now;
    const boxes = this.boxes.named(name);
    this.#mark(item, { label: name, boxes }, this.brush.file());
    this.#go("label", boxes);
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
    this.#leaveOut(item, true);
    say("Left out");
  }

  undo() {
    const last = this.done.pop();
    if (!last) return;
    const { item, did } = last;
    if (did !== "skip") this.left += 1;
    if (did === "label") this.#mark(item, before(item));
    if (did === "out") this.#leaveOut(item, false);
    this.#again(last);
    say("Undone");
  }

  /** Show a picture again, with what was drawn on it. @param {Done} done */
  #again({ item, boxes, painted }) {
    if (this.now) this.ahead = Promise.resolve(this.now); // it comes again afterwards
    this.now = item;
    this.boxes.set(boxes);
    this.brush.take(painted);
    this.#draw();
  }

  /**
   * @param {Item} item
   * @param {Record<string, unknown>} body
   * @param {Promise<string>} [mask]  a PNG file in base64, "" for nothing
   */
  #mark(item, body, mask = Promise.resolve("")) {
    this.#send(item, "marks", { picture: item.id, ...body }, mask);
  }

  /** @param {Item} item @param {boolean} out */
  #leaveOut(item, out) {
    this.#send(item, "leave-out", { pictures: [item.id], out });
  }

  /**
   * @param {Item} item
   * @param {string} what
   * @param {Record<string, unknown>} body
   * @param {Promise<string>} [mask]
   */
  #send(item, what, body, mask) {
    this.place.ariaBusy = "true";
    const letter = { name: `desk:${this.project.id}/${item.id}/${what}`, method: "POST", path: `/api/projects/${this.project.id}/${what}`, body };
    this.before = this.before.then(async () => this.outbox.put({ ...letter, mask: (await mask) || undefined })).catch(complain);
  }

  /** The pictures about which something is on its way. */
  get unsent() {
    return this.outbox.waiting(`desk:${this.project.id}`).map(({ name }) => name.split("/")[1] ?? "");
  }

  /** Say what is on its way, where that takes long. */
  #said() {
    const { length } = this.unsent;
    this.place.ariaBusy = String(length > 0);
    this.status.textContent = length && this.outbox.isStuck ? `${counted(length, "picture")} not sent yet: the studio doesn’t answer. They are kept, and sent by themselves.` : "";
  }

  /** The server takes it back: the picture comes again. @param {Letter} letter @param {unknown} error */
  #refused({ name }, error) {
    complain(error);
    const at = this.done.findLastIndex(({ item, did }) => did !== "skip" && item.id === name.split("/")[1]);
    const [done] = at < 0 ? [] : this.done.splice(at, 1);
    if (!done) return;
    this.left += 1;
    this.#again(done);
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
    this.#next();
  }

  #next() {
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
    const { picture } = /** @type {{picture: Item | null}} */ (await untilAnswered(() => change("POST", `/api/projects/${this.project.id}/next`, { skipped })));
    if (picture) new Image().src = picture.whole;
    return picture;
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

/** What the person had said of a picture before. @param {Item} item @returns {Record<string, unknown>} */
function before({ mark }) {
  if (!mark?.mine) return { label: "" };
  return { label: mark.label, boxes: mark.boxes, mask: /([0-9a-f]{64})\.png$/.exec(mark.mask ?? "")?.[1] ?? "" };
}
