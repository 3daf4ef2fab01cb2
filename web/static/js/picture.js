// One picture: what is known of it, what can be done with it, what comes before and after.
import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { readTrail } from "./core/api.js";
import { postPicture } from "./core/dialog.js";
import { Announcer, copyText, deleteJobForGood, followNews, offerShare, pressAction, tellAway, toggleFavourite, trashAndLeave } from "./core/jobs.js";
import { addShortcuts, elementOf, icon, pageData, startPage } from "./core/page.js";
import { commandOf, showError } from "./core/text.js";
import { openMenu } from "./parts/menu.js";

/** @import {Action, Job, Picture} from "./types.js" */

/** A picture to compare with. */
/** @typedef {{src: string, label: string}} Other */

/** Two pictures over each other: a line that is moved between them, or the other one as long as a button is held. */
class Compare {
  /**
   * @param {HTMLElement} stage
   * @param {Other[]} others
   * @param {(on: boolean) => void} onToggle
   */
  constructor(stage, others, onToggle) {
    this.stage = stage;
    this.others = others;
    this.onToggle = onToggle;
    this.on = false;
    this.at = 50; // % from the left
    this.other = others[0];
    this.layer = document.createElement("div");
    this.layer.className = "compare-layer";
    this.tools = document.createElement("div");
    stage.append(this.layer);
    stage.after(this.tools);
  }

  toggle() {
    if (!this.other) return;
    this.on = !this.on;
    this.at = 50;
    this.stage.classList.toggle("comparing", this.on);
    this.#draw();
    if (this.on) this.layer.querySelector("input")?.focus();
    this.onToggle(this.on);
  }

  #draw() {
    render(this.on && this.other ? this.#over(this.other) : nothing, this.layer);
    render(this.on ? this.#bar() : nothing, this.tools);
    this.#cut(this.at);
  }

  /** @param {Other} other */
  #over(other) {
    return html`<img class="other" src=${other.src} alt=${other.label}>
      <span class="divider"></span>
      <input class="slider" type="range" min="0" max="100" step="0.5" .value=${String(this.at)} aria-label="How much of each is shown"
        @input=${(/** @type {Event} */ event) => this.#cut(Number(/** @type {HTMLInputElement} */ (event.target).value))}>
      <span class="tag left">${other.label}</span><span class="tag right">This one</span>`;
  }

  #bar() {
    const hold = (/** @type {boolean} */ on) => () => this.#cut(on ? 100 : this.at, false);
    const key = (/** @type {boolean} */ on) => (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      hold(on)();
    };
    return html`<div class="compare-bar">
      <label><span class="sr">Compare with</span><select @change=${(/** @type {Event} */ event) => this.#choose(/** @type {HTMLSelectElement} */ (event.target).selectedIndex)}>
        ${this.others.map((one) => html`<option ?selected=${one === this.other}>${one.label}</option>`)}
      </select></label>
      <button class="button quiet" type="button" @pointerdown=${hold(true)} @pointerup=${hold(false)} @pointerleave=${hold(false)} @keydown=${key(true)} @keyup=${key(false)} @contextmenu=${(/** @type {Event} */ event) => event.preventDefault()}>Hold to see the other</button>
      <button class="button quiet" type="button" @click=${() => this.toggle()}>Done</button>
    </div>`;
  }

  /** @param {number} index */
  #choose(index) {
    this.other = this.others[index];
    this.#draw();
  }

  /**
   * @param {number} at  % from the left
   * @param {boolean} [stays]
   */
  #cut(at, stays = true) {
    if (stays) this.at = at;
    const other = this.layer.querySelector("img");
    const line = this.layer.querySelector(".divider");
    if (other) other.style.clipPath = `inset(0 ${100 - at}% 0 0)`;
    if (line instanceof HTMLElement) line.style.left = `${at}%`;
  }
}

/** @typedef {{href: string, thumb: string, label: string}} Kin */

const { job, picture, parent, actions } = /** @type {{job: Job, picture: Picture, parent: Kin | null, actions: Action[]}} */ (pageData());
const stage = elementOf("stage", HTMLElement);
const announcer = new Announcer();
const { before, after, back } = readTrail(location.pathname, job.pictures.map(({ href }) => href));
const leave = back ?? (job.mine ? "/pictures" : "/explore");
const sink = { added: (/** @type {Job[]} */ jobs) => announcer.added(jobs), gone: () => location.replace(leave) };

/** The address of a picture's bytes, from that of its page. */
const bytesOf = (/** @type {string} */ href) => href.replace(/^\/pictures\//, "/files/");

/** @param {string | undefined} href */
function go(href) {
  if (href) location.replace(href); // so that Back leads to where the way began
}

function edges() {
  const edge = (/** @type {string | undefined} */ href, /** @type {string} */ look, /** @type {string} */ name, /** @type {string} */ label) =>
    href ? html`<button class="icon-button edge ${look}" type="button" aria-label=${label} title=${label} @click=${() => go(href)}>${icon(name)}</button>` : nothing;
  const place = document.createElement("div");
  place.className = "edges";
  stage.append(place);
  render(html`${edge(before, "before", "left", "Previous picture")}${edge(after, "after", "right", "Next picture")}`, place);
  for (const href of [after, before]) if (href) new Image().src = bytesOf(href);
}

function hearts() {
  const button = elementOf("heart", HTMLButtonElement);
  const press = () => toggleFavourite(job.id, picture, () => button.setAttribute("aria-pressed", String(picture.favourite)));
  button.form?.addEventListener("submit", (event) => {
    event.preventDefault();
    press();
  });
  return press;
}

function comparing() {
  const others = job.pictures.filter(({ n, visibility }) => n !== picture.n && visibility === "show").map(({ n, original }) => ({ src: original, label: `Picture ${n}` }));
  if (parent) others.unshift({ src: bytesOf(parent.href), label: "Made from" });
  if (!others.length || picture.visibility === "block" || picture.video) return null;
  const place = elementOf("tools", HTMLElement);
  const draw = (/** @type {boolean} */ on) =>
    render(html`<button class="icon-button" type="button" title="Compare" aria-label="Compare" aria-pressed=${on} @click=${() => compare.toggle()}>${icon("compare")}</button>`, place);
  const compare = new Compare(stage, others, draw);
  draw(false);
  return compare;
}

function copies() {
  const all = [
    { label: "Prompt", text: job.prompt },
    { label: "Seed", text: picture.seed === null ? "" : String(picture.seed) },
    { label: "Command", text: job.kind === "imagine" ? commandOf(job, picture.seed) : "" },
    { label: "Job id", text: job.id },
  ].filter(({ text }) => text);
  const items = all.map(({ label, text }) => ({ label, work: () => copyText(text, label) }));
  const place = document.createElement("span");
  elementOf("copies", HTMLElement).append(place);
  const open = (/** @type {Event} */ event) => openMenu(/** @type {HTMLElement} */ (event.currentTarget), "Copy", [{ name: "Copy", items }]);
  render(html`<button class="button quiet small" type="button" aria-haspopup="menu" aria-expanded="false" @click=${open}>${icon("copy")}Copy</button>`, place);
}

function posting() {
  if (!job.mine || picture.visibility === "block") return;
  const place = document.createElement("span");
  elementOf("copies", HTMLElement).append(place);
  render(html`<button class="button quiet small" type="button" aria-haspopup="dialog" @click=${() => postPicture(job.id, picture.n)}>${icon("send")}Post</button>`, place);
}

async function trash() {
  if (!job.mine) return;
  await trashAndLeave({ job: job.id, n: picture.n }, () => location.replace(after ?? before ?? leave));
}

/** @param {SubmitEvent} event */
function onAction(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const to = form.dataset.send ?? "";
  if (to.startsWith("DELETE")) {
    event.preventDefault();
    return void deleteJobForGood(job, sink);
  }
  const [, n, name] = /\/jobs\/[^/]+\/(\d+)\/(\w+)$/.exec(to) ?? [];
  const action = actions.find((one) => one.action === name);
  if (!action) return;
  event.preventDefault();
  const filled = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
  form.closest("details")?.removeAttribute("open");
  pressAction(job, Number(n), action, sink, filled);
}

function play() {
  const video = document.getElementById("picture");
  if (!(video instanceof HTMLVideoElement)) return;
  if (video.paused) video.play().catch(showError);
  else video.pause();
}

function download() {
  const link = document.querySelector(".about-head a[download]");
  if (link instanceof HTMLElement) link.click();
}

const close = elementOf("close", HTMLAnchorElement);
close.href = leave;
edges();
copies();
posting();
const like = hearts();
const compare = comparing();
elementOf("actions", HTMLElement).addEventListener("submit", onAction);
document.getElementById("away")?.addEventListener("submit", (event) => {
  event.preventDefault();
  trash();
});
followNews((news) => announcer.take(news).catch(showError));
startPage();
offerShare();
tellAway(() => {});
addShortcuts({
  ArrowLeft: () => go(before),
  ArrowRight: () => go(after),
  l: like,
  c: () => compare?.toggle(),
  d: () => download(),
  p: () => copyText(job.prompt, "Prompt"),
  k: () => play(),
  Delete: trash,
  Escape: () => (compare?.on ? compare.toggle() : location.assign(leave)),
});
