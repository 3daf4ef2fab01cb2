// The desk of a project that finds things: boxes are drawn around them, each with its label, and the next picture comes.
import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { change, keepHere, keptHere } from "../js/core/api.js";
import { emptyState, icon, shortcuts } from "../js/core/page.js";
import { complain, say, toast } from "../js/core/text.js";
import { Boxes } from "./boxes.js";

/** @import {Box, Item, Project} from "./types.js" */

const KEYS = 9; // labels that have a digit
const TONES = 8; // colours of labels, see projects.css
const LONGEST = 80; // characters of a label
const MARKED = "marked"; // what a picture is called whose things are marked

/** Boxes that have a label each. */
class Things extends Boxes {
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
    let layer = /** @type {HTMLElement | null} */ (frame.querySelector(".things-layer"));
    if (!layer) {
      layer = Object.assign(document.createElement("div"), { className: "things-layer", ariaHidden: "true" });
      frame.append(layer);
    }
    const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(3)}%`;
    render(
      this.told().map(([label, left, top, right, bottom]) => html`<div class="thing" data-tone=${this.tone(label)}
        .style=${`left:${percent(left)};top:${percent(top)};width:${percent(right - left)};height:${percent(bottom - top)}`}><span>${label}</span></div>`),
      layer,
    );
  }
}

export class ThingDesk {
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
    this.things = new Things(() => this.#draw());
    const drawn = /** @type {Box[] | null} */ (keptHere(`boxes ${picture.id}`)) ?? boxes; // when the page was left
    this.things.known = [...new Set([...project.labels.map(({ name }) => name), ...drawn.map(([label]) => label)])];
    this.things.label = this.things.known[0] ?? "";
    this.things.set(drawn);
    shortcuts({
      Enter: (event) => !(event.target instanceof HTMLElement && event.target.closest("button, a")) && this.done(),
      ArrowRight: () => this.skip(),
      s: () => this.skip(),
      x: () => this.leaveOut(),
      z: () => this.undo(),
      b: () => this.#named() && this.things.begin(),
    });
    for (let digit = 1; digit <= KEYS; digit++) {
      shortcuts({ [digit]: () => this.choose(this.things.known[digit - 1] ?? this.things.label) });
    }
    addEventListener("beforeunload", (event) => this.busy && event.preventDefault());
    place.replaceChildren();
    this.#draw();
  }

  /** @param {string} label */
  choose(label) {
    this.things.label = label;
    say(label);
    this.#draw();
  }

  undo() {
    if (this.things.all.length) this.things.drop(this.things.all.length - 1);
  }

  done() {
    const boxes = this.things.told();
    this.#go(boxes.length ? `${boxes.length} marked` : "Nothing there", (item) =>
      change("POST", `/api/projects/${this.project.id}/marks`, { picture: item.id, label: MARKED, boxes }));
  }

  skip() {
    this.#go("Skipped", null);
  }

  leaveOut() {
    this.#go("Left out", (item) => change("POST", `/api/projects/${this.project.id}/leave-out`, { pictures: [item.id], out: true }));
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
      const { picture } = /** @type {{picture: Item | null}} */ (await change("POST", `/api/projects/${this.project.id}/next`, { skipped }));
      this.now = picture;
      this.things.set([]);
      say(words);
    } catch (error) {
      complain(error);
    }
    this.busy = false;
    this.place.ariaBusy = "false";
    this.#draw();
  }

  /** Whether the next box would have a label. */
  #named() {
    if (!this.things.label) toast("Name what you draw a box around first.", { bad: true });
    return Boolean(this.things.label);
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
    this.things.draw(frame);
    if (this.now) keepHere(`boxes ${this.now.id}`, this.things.all.length ? this.things.told() : null);
  }

  #nothing() {
    const more = html`<div class="job-actions"><a class="button" href=${this.project.href}>Pictures</a>
      <a class="button quiet" href="${this.project.href}/label">Show the skipped ones</a></div>`;
    return emptyState("check", "That was the last one", "Train the next version, or go through what was skipped.", more);
  }

  /** @param {SubmitEvent} event */
  #add(event) {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (/** @type {HTMLFormElement} */ (event.target).elements.namedItem("label"));
    const label = field.value.trim().replace(/\s+/g, " ");
    if (!label) return;
    const same = this.things.known.find((one) => one.toLowerCase() === label.toLowerCase());
    if (!same) this.things.known.push(label);
    field.value = "";
    field.blur();
    this.choose(same ?? label);
  }

  /** @param {Item} item */
  #shown(item) {
    const { all, known, label: chosen, current } = this.things;
    const what = all.length ? `Done, ${all.length} ${all.length === 1 ? "thing" : "things"}` : "Nothing is there";
    return html`<div class="desk things">
      <div class="desk-picture"><div class="desk-frame"><img src=${item.whole} alt="The picture to draw boxes on" draggable="false"></div></div>
      <div class="desk-side">
        <p class="muted">Choose what it is, then drag a box around each.</p>
        <div class="desk-labels" role="group" aria-label="Label of the next box">${known.map((label, index) => html`<button class="button quiet" type="button" aria-pressed=${String(label === chosen)} @click=${() => this.choose(label)}>
          ${index < KEYS ? html`<kbd>${index + 1}</kbd>` : nothing}<span class="swatch" data-tone=${this.things.tone(label)}></span><span>${label}</span></button>`)}</div>
        ${this.project.may.includes("manage") || !known.length ? html`<form class="inline" @submit=${(/** @type {SubmitEvent} */ event) => this.#add(event)}><input type="text" name="label" maxlength=${LONGEST} autocomplete="off" placeholder="New label" aria-label="New label"><button class="button quiet small">Add</button></form>` : nothing}
        ${current ? html`<p class="small">Arrows move the box, with Shift they change its size. Enter keeps it, Esc drops it.</p>` : nothing}
        <ul class="thing-list" aria-label="Boxes on this picture">${this.things.told().map(([label], at) => html`<li><span class="swatch" data-tone=${this.things.tone(label)}></span><span>${label}</span><button class="icon-button" type="button" title="Remove this box" aria-label="Remove box ${at + 1}, ${label}" @click=${() => this.things.drop(at)}>${icon("close")}</button></li>`)}</ul>
        <div class="job-actions">
          <button class="button" type="button" ?disabled=${this.busy} @click=${() => this.done()}>${what} <kbd>Enter</kbd></button>
        </div>
        <div class="job-actions">
          <button class="button quiet small" type="button" @click=${() => this.skip()}>Skip <kbd>→</kbd></button>
          <button class="button quiet small" type="button" ?disabled=${!all.length} @click=${() => this.undo()}>Undo a box <kbd>z</kbd></button>
          <button class="button quiet small" type="button" @click=${() => this.#named() && this.things.begin()}>Box by keys <kbd>b</kbd></button>
          <button class="button quiet small" type="button" @click=${() => this.leaveOut()}>Leave out <kbd>x</kbd></button>
        </div>
      </div>
    </div>`;
  }
}
