// The desk where one picture after the other is labelled, or boxes are drawn on it, by keys or by pressing.
import { nothing, render } from "../vendor/lit-html/lit-html.js";
import { keepHere, keptHere, outbox, sendJson, untilAnswered } from "../js/core/api.js";
import { addShortcuts, elementOf, emptyState, icon, pageData, startPage } from "../js/core/page.js";
import { announce, countOf, html, showError, showToast, t } from "../js/core/text.js";
import { Boxes } from "./boxes.js";
import { Brush } from "./brush.js";

/** @import {Letter} from "../js/core/api.js" */
/** @import {Box, Item, Project} from "../js/types.js" */
/** @import {Painted} from "./brush.js" */

/** @typedef {{item: Item, did: "label" | "skip" | "out", boxes: Box[], painted: Painted}} Done  what was done to a picture */

const KEYS = 9; // labels that have a digit

/** One picture, its labels as buttons and keys, what was done undone, the next one loaded ahead. */
class Desk {
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
    addShortcuts({
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
      addShortcuts({
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
    announce(name);
  }

  skip() {
    if (!this.now) return;
    this.#go("skip", []);
    announce(t("Skipped"));
  }

  leaveOut() {
    if (!this.now) return;
    const item = this.now;
    this.#go("out", []);
    this.#leaveOut(item, true);
    announce(t("Excluded"));
  }

  undo() {
    const last = this.done.pop();
    if (!last) return;
    const { item, did } = last;
    if (did !== "skip") this.left += 1;
    if (did === "label") this.#mark(item, before(item));
    if (did === "out") this.#leaveOut(item, false);
    this.#again(last);
    announce(t("Undone"));
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
    this.before = this.before.then(async () => this.outbox.put({ ...letter, mask: (await mask) || undefined })).catch(showError);
  }

  /** The pictures about which something is on its way. */
  get unsent() {
    return this.outbox.waiting(`desk:${this.project.id}`).map(({ name }) => name.split("/")[1] ?? "");
  }

  /** Say what is on its way, where that takes long. */
  #said() {
    const { length } = this.unsent;
    this.place.ariaBusy = String(length > 0);
    this.status.textContent = length && this.outbox.isStuck ? t("{0} not sent yet: the studio doesn’t answer. They are kept, and sent automatically.", countOf(length, "picture")) : "";
  }

  /** The server takes it back: the picture comes again. @param {Letter} letter @param {unknown} error */
  #refused({ name }, error) {
    showError(error);
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
        this.ahead.then((other) => this.#show(other), showError);
        return;
      }
      this.#show(found);
    }, showError);
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
    const { picture } = /** @type {{picture: Item | null}} */ (await untilAnswered(() => sendJson("POST", `/api/projects/${this.project.id}/next`, { skipped })));
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
    return emptyState("check", skipped ? t("The rest was skipped") : t("Every picture has its label"), "", again);
  }

  /** @param {Item} item */
  #shown(item) {
    return html`<div class="desk">
      <div class="desk-picture"><div class="desk-frame"><img src=${item.whole} alt="The picture to label, ${item.said}" draggable="false"></div></div>
      <div class="desk-side">
        <p class="muted">${Math.max(1, this.left)} left${item.state === "disputed" ? html` · people disagree about this one` : nothing}</p>
        ${item.doubt ? html`<p>Its label is ${item.label}; version ${item.doubt.version}, which hadn’t seen it, labels it ${item.doubt.rather}. Please check it again.</p>` : nothing}
        <div class="desk-labels">${this.project.labels.map((label, index) => html`<button class="button quiet" type="button" @click=${() => this.label(label.name)}>
          ${index < KEYS ? html`<kbd>${index + 1}</kbd>` : nothing}<span>${label.name}${label.meaning ? html` <span class="meaning">${label.meaning}</span>` : nothing}</span></button>`)}</div>
        ${this.project.labels.length ? nothing : html`<p class="muted">There are no labels yet. Add some on <a href="${this.project.href}/settings">Settings</a>.</p>`}
        <div class="job-actions">
          <button class="button quiet small" type="button" @click=${() => this.skip()}>Skip <kbd>→</kbd></button>
          <button class="button quiet small" type="button" ?disabled=${!this.done.length} @click=${() => this.undo()}>Undo <kbd>←</kbd></button>
          <button class="button quiet small" type="button" @click=${() => this.leaveOut()}>Exclude <kbd>x</kbd></button>
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

const TONES = 8; // colours of labels, see projects.css
const LONGEST = 80; // characters of a label
const MARKED = "marked"; // what a picture is called whose objects are marked

/** Boxes that have a label each. */
class Objects extends Boxes {
  /** @param {() => void} onChange */
  constructor(onChange) {
    super(() => {
      while (this.labels.length < this.all.length) this.labels.push(this.label);
      onChange();
    });
    /** @type {string[]} of each box */
    this.labels = [];
    /** @type {string[]} that there are, in their order */
    this.known = [];
    this.label = ""; // of the next box
  }

  /** @returns {Box[]} */
  told() {
    return this.all.map((sides, at) => [this.labels[at] ?? this.label, ...sides]);
  }

  /** @param {Box[]} boxes */
  set(boxes) {
    super.set(boxes);
    this.labels = boxes.map(([label]) => label);
  }

  /** @param {number} at */
  drop(at) {
    this.all.splice(at, 1);
    this.labels.splice(at, 1);
    this.onChange();
  }

  /** @param {string} label */
  tone(label) {
    return Math.max(0, this.known.indexOf(label)) % TONES;
  }

  /** @param {HTMLElement} frame */
  draw(frame) {
    super.draw(frame);
    let layer = /** @type {HTMLElement | null} */ (frame.querySelector(".objects-layer"));
    if (!layer) {
      layer = Object.assign(document.createElement("div"), { className: "objects-layer", ariaHidden: "true" });
      frame.append(layer);
    }
    const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(3)}%`;
    render(
      this.told().map(([label, left, top, right, bottom]) => html`<div class="object" data-tone=${this.tone(label)}
        .style=${`left:${percent(left)};top:${percent(top)};width:${percent(right - left)};height:${percent(bottom - top)}`}><span>${label}</span></div>`),
      layer,
    );
  }
}

/** The desk of a project that finds objects: boxes are drawn around them, each with its label, and the next picture comes. */
class ObjectDesk {
  /**
   * @param {HTMLElement} place
   * @param {Project} project
   * @param {Item} picture
   * @param {Box[]} boxes  that are there to begin with
   */
  constructor(place, project, picture, boxes) {
    this.place = place;
    this.project = project;
    /** @type {Item | null} */
    this.now = picture;
    /** @type {Set<string>} pictures that aren't asked for again */
    this.passed = new Set([picture.id]);
    this.busy = false;
    this.objects = new Objects(() => this.#draw());
    const drawn = /** @type {Box[] | null} */ (keptHere(`boxes ${picture.id}`)) ?? boxes; // when the page was left
    this.objects.known = [...new Set([...project.labels.map(({ name }) => name), ...drawn.map(([label]) => label)])];
    this.objects.label = this.objects.known[0] ?? "";
    this.objects.set(drawn);
    addShortcuts({
      Enter: (event) => !(event.target instanceof HTMLElement && event.target.closest("button, a")) && this.done(),
      ArrowRight: () => this.skip(),
      s: () => this.skip(),
      x: () => this.leaveOut(),
      z: () => this.undo(),
      b: () => this.#named() && this.objects.begin(),
    });
    for (let digit = 1; digit <= KEYS; digit++) {
      addShortcuts({ [digit]: () => this.choose(this.objects.known[digit - 1] ?? this.objects.label) });
    }
    addEventListener("beforeunload", (event) => this.busy && event.preventDefault());
    place.replaceChildren();
    this.#draw();
  }

  /** @param {string} label */
  choose(label) {
    this.objects.label = label;
    announce(label);
    this.#draw();
  }

  undo() {
    if (this.objects.all.length) this.objects.drop(this.objects.all.length - 1);
  }

  done() {
    const boxes = this.objects.told();
    this.#go(boxes.length ? `${boxes.length} marked` : t("Nothing there"), (item) =>
      sendJson("POST", `/api/projects/${this.project.id}/marks`, { picture: item.id, label: MARKED, boxes }));
  }

  skip() {
    this.#go(t("Skipped"), null);
  }

  leaveOut() {
    this.#go(t("Excluded"), (item) => sendJson("POST", `/api/projects/${this.project.id}/leave-out`, { pictures: [item.id], out: true }));
  }

  /**
   * Do something with the picture, and show the next one. What can't be done leaves all as it is.
   * @param {string} words
   * @param {((item: Item) => Promise<unknown>) | null} work
   */
  async #go(words, work) {
    const item = this.now;
    if (!item || this.busy) return;
    this.busy = true;
    this.place.ariaBusy = "true";
    try {
      if (work) await work(item);
      keepHere(`boxes ${item.id}`, null);
      this.passed.add(item.id);
      const skipped = [...this.passed].slice(-400);
      const { picture } = /** @type {{picture: Item | null}} */ (await sendJson("POST", `/api/projects/${this.project.id}/next`, { skipped }));
      this.now = picture;
      this.objects.set([]);
      announce(words);
    } catch (error) {
      showError(error);
    }
    this.busy = false;
    this.place.ariaBusy = "false";
    this.#draw();
  }

  /** Whether the next box would have a label. */
  #named() {
    if (!this.objects.label) showToast(t("Choose a label before you draw a box."), { bad: true });
    return Boolean(this.objects.label);
  }

  #draw() {
    render(this.now ? this.#shown(this.now) : this.#nothing(), this.place);
    const frame = /** @type {HTMLElement | null} */ (this.place.querySelector(".desk-frame"));
    if (!frame) return;
    if (!frame.dataset.asks) {
      frame.dataset.asks = "1"; // before the boxes' own listener
      frame.addEventListener("pointerdown", (event) => {
        if (document.activeElement instanceof HTMLElement) document.activeElement.blur(); // keys go to the picture
        if (!this.#named()) event.stopImmediatePropagation();
      });
    }
    this.objects.draw(frame);
    if (this.now) keepHere(`boxes ${this.now.id}`, this.objects.all.length ? this.objects.told() : null);
  }

  #nothing() {
    const more = html`<div class="job-actions"><a class="button" href=${this.project.href}>Pictures</a>
      <a class="button quiet" href="${this.project.href}/label">Show the skipped ones</a></div>`;
    return emptyState("check", t("That was the last one"), t("Train the next version, or go through what was skipped."), more);
  }

  /** @param {SubmitEvent} event */
  #add(event) {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (/** @type {HTMLFormElement} */ (event.target).elements.namedItem("label"));
    const label = field.value.trim().replace(/\s+/g, " ");
    if (!label) return;
    const same = this.objects.known.find((one) => one.toLowerCase() === label.toLowerCase());
    if (!same) this.objects.known.push(label);
    field.value = "";
    field.blur();
    this.choose(same ?? label);
  }

  /** @param {Item} item */
  #shown(item) {
    const { all, known, label: chosen, current } = this.objects;
    const what = all.length ? t("Done, {0} {1}", all.length, all.length === 1 ? "object" : "objects") : t("Nothing is there");
    return html`<div class="desk objects">
      <div class="desk-picture"><div class="desk-frame"><img src=${item.whole} alt="The picture to draw boxes on" draggable="false"></div></div>
      <div class="desk-side">
        <p class="muted">Choose what it is, then drag a box around each.</p>
        <div class="desk-labels" role="group" aria-label="Label of the next box">${known.map((label, index) => html`<button class="button quiet" type="button" aria-pressed=${String(label === chosen)} @click=${() => this.choose(label)}>
          ${index < KEYS ? html`<kbd>${index + 1}</kbd>` : nothing}<span class="swatch" data-tone=${this.objects.tone(label)}></span><span>${label}</span></button>`)}</div>
        ${this.project.may.includes("manage") || !known.length ? html`<form class="inline" @submit=${(/** @type {SubmitEvent} */ event) => this.#add(event)}><input type="text" name="label" maxlength=${LONGEST} autocomplete="off" placeholder="New label" aria-label="New label"><button class="button quiet small">Add</button></form>` : nothing}
        ${current ? html`<p class="small">Arrows move the box, with Shift they change its size. Enter keeps it, Esc discards it.</p>` : nothing}
        <ul class="object-list" aria-label="Boxes on this picture">${this.objects.told().map(([label], at) => html`<li><span class="swatch" data-tone=${this.objects.tone(label)}></span><span>${label}</span><button class="icon-button" type="button" title="Remove this box" aria-label="Remove box ${at + 1}, ${label}" @click=${() => this.objects.drop(at)}>${icon("close")}</button></li>`)}</ul>
        <div class="job-actions">
          <button class="button" type="button" ?disabled=${this.busy} @click=${() => this.done()}>${what} <kbd>Enter</kbd></button>
        </div>
        <div class="job-actions">
          <button class="button quiet small" type="button" @click=${() => this.skip()}>Skip <kbd>→</kbd></button>
          <button class="button quiet small" type="button" ?disabled=${!all.length} @click=${() => this.undo()}>Undo a box <kbd>z</kbd></button>
          <button class="button quiet small" type="button" @click=${() => this.#named() && this.objects.begin()}>Box by keys <kbd>b</kbd></button>
          <button class="button quiet small" type="button" @click=${() => this.leaveOut()}>Exclude <kbd>x</kbd></button>
        </div>
      </div>
    </div>`;
  }
}

const { project, picture, boxes } = /** @type {{project: Project, picture: Item | null, boxes: Box[]}} */ (pageData());

if (picture) {
  const place = elementOf("desk", HTMLElement);
  if (project.task === "detect") new ObjectDesk(place, project, picture, boxes);
  else new Desk(place, project, picture);
}
startPage();
