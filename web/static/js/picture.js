// One picture: what is known of it, what can be done with it, what comes before and after.
import { nothing, render } from "../vendor/lit-html/lit-html.js";
import { leaveNote, readPictures, takeNote } from "./core/api.js";
import { postPicture } from "./core/dialog.js";
import { copyText, deleteJobForGood, followNews, offerShare, tellAway, toggleFavourite, trashAndLeave } from "./core/jobs.js";
import { addShortcuts, droppedPicture, elementOf, icon, pageData, startPage, takeChosen, takeDrops, unhide } from "./core/page.js";
import { commandOf, html, showError, t } from "./core/text.js";
import { changesList } from "./parts/changes.js";
import { openMenu } from "./parts/menu.js";
import { Results } from "./parts/results.js";

/** @import {Attachments} from "./parts/attachments.js" */
/** @import {Action, Change, Job, Picture} from "./types.js" */

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

/** A video with the few things that it needs: play, a line to move along, the time, its sound if it has any, the whole screen. */
class Player {
  /**
   * @param {HTMLElement} stage
   * @param {HTMLVideoElement} video
   * @param {boolean} hasSound
   */
  constructor(stage, video, hasSound) {
    this.stage = stage;
    this.video = video;
    this.hasSound = hasSound;
    this.place = document.createElement("div");
    this.place.className = "player";
    stage.append(this.place);
    for (const event of ["play", "pause", "volumechange", "loadedmetadata", "seeked"]) video.addEventListener(event, () => this.draw());
    video.addEventListener("click", () => this.toggle());
    stage.addEventListener("fullscreenchange", () => this.draw());
    this.draw();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) video.play().catch(() => {}); // a browser that won't leaves it to the button
    const follow = () => {
      if (!video.paused) this.#move();
      requestAnimationFrame(follow);
    };
    follow();
  }

  toggle() {
    if (this.video.paused) this.video.play().catch(showError);
    else this.video.pause();
  }

  #move() {
    const line = this.place.querySelector("input");
    const time = this.place.querySelector("output");
    if (line) line.value = String(this.video.currentTime);
    const text = `${clock(this.video.currentTime)} / ${clock(this.length)}`;
    if (time && time.value !== text) time.value = text;
  }

  get length() {
    return Number.isFinite(this.video.duration) ? this.video.duration : (picture.video?.seconds ?? 0);
  }

  draw() {
    const { paused, muted } = this.video;
    const whole = document.fullscreenElement === this.stage;
    const sound = () => (this.video.muted = !this.video.muted);
    const screen = () => (whole ? document.exitFullscreen() : this.stage.requestFullscreen()).catch(showError);
    const press = (/** @type {string} */ label, /** @type {string} */ name, /** @type {() => unknown} */ work) =>
      html`<button class="icon-button" type="button" aria-label=${label} title=${label} @click=${work}>${icon(name)}</button>`;
    render(
      html`${press(paused ? t("Play") : t("Pause"), paused ? "play" : "pause", () => this.toggle())}
        <input type="range" min="0" max=${this.length} step="0.01" aria-label="Time" @input=${(/** @type {Event} */ event) => { this.video.currentTime = Number(/** @type {HTMLInputElement} */ (event.target).value); }}>
        <output></output>
        ${this.hasSound ? press(muted ? t("Sound on") : t("Sound off"), muted ? "muted" : "sound", sound) : nothing}
        ${press(whole ? t("Leave the full screen") : t("Full screen"), "fit", screen)}`,
      this.place,
    );
    this.place.classList.toggle("paused", paused);
    this.#move();
  }
}

/** "0:03". @param {number} seconds */
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** @typedef {{href: string, thumb: string, label: string, video: boolean}} Kin */

const { job, picture, parent, actions, made, changes } = /** @type {{job: Job, picture: Picture, parent: Kin | null, actions: Action[], made: Job[], changes: Change[]}} */ (pageData());
const stage = elementOf("stage", HTMLElement);
const { before, after, back } = readTrail(job.pictures.map(({ href }) => href));
const leave = back ?? (job.mine ? "/pictures" : "/explore");
const results = new Results(job, picture, made);

/**
 * The pictures before and after this one, and the page to go back to. `own`: those of its job, for when the way
 * doesn't lead past here. A page that is come back to finds the way that led to it, not the last one.
 * @param {string[]} own
 * @returns {{before?: string, after?: string, back: string | null}}
 */
function readTrail(own) {
  const kept = /** @type {{trail?: string} | null} */ (history.state)?.trail ?? takeNote("trail") ?? "null";
  history.replaceState({ ...history.state, trail: kept }, "");
  leaveNote("trail", kept);
  const known = /** @type {{hrefs: string[], back: string} | null} */ (JSON.parse(kept));
  const hrefs = known?.hrefs.includes(location.pathname) ? known.hrefs : own;
  const at = hrefs.indexOf(location.pathname);
  return { before: hrefs[at - 1], after: at < 0 ? undefined : hrefs[at + 1], back: known?.back ?? null };
}

/** Go back to the page before, as it was left, its scroll included; to where the way began, if that is none of ours. */
function goBack() {
  const { navigation } = /** @type {{navigation?: {currentEntry: {index: number} | null, entries: () => {url: string | null}[]}}} */ (/** @type {unknown} */ (window));
  const entry = navigation?.entries()[(navigation.currentEntry?.index ?? 0) - 1]?.url; // of our own origin, or none
  if (entry && !/^\/in\b/.test(new URL(entry).pathname)) history.back();
  else location.assign(leave);
}

/** Mark the page in the side bar that one comes from. */
function markOrigin() {
  const from = document.querySelector(`.side nav a[href="${CSS.escape(new URL(leave, location.href).pathname)}"]`);
  if (!from) return;
  document.querySelector(".side [aria-current]")?.removeAttribute("aria-current");
  from.setAttribute("aria-current", "page");
}

/** The address of a picture's bytes, from that of its page. */
const bytesOf = (/** @type {string} */ href) => href.replace(/^\/pictures\//, "/files/");

/** @param {string | undefined} href */
function go(href) {
  if (!href) return;
  leaveNote("trail", String(/** @type {{trail?: string} | null} */ (history.state)?.trail));
  location.replace(href); // so that Back leads to where the way began
}

function edges() {
  const edge = (/** @type {string | undefined} */ href, /** @type {string} */ look, /** @type {string} */ name, /** @type {string} */ label) =>
    href ? html`<button class="icon-button edge ${look}" type="button" aria-label=${label} title=${label} @click=${() => go(href)}>${icon(name)}</button>` : nothing;
  const place = document.createElement("div");
  place.className = "edges";
  stage.append(place);
  render(html`${edge(before, "before", "left", t("Previous picture"))}${edge(after, "after", "right", t("Next picture"))}`, place);
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
  const others = job.pictures.filter(({ n, visibility }) => n !== picture.n && visibility === "show").map(({ n, original }) => ({ src: original, label: t("Picture {0}", n) }));
  if (parent) others.unshift({ src: bytesOf(parent.href), label: t("Made from") });
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
    { label: t("Prompt"), text: picture.prompt },
    { label: t("Seed"), text: picture.seed === null ? "" : String(picture.seed) },
    { label: t("Command"), text: job.kind === "imagine" ? commandOf(picture, picture.seed) : "" },
    { label: t("Job id"), text: job.id },
  ].filter(({ text }) => text);
  const items = all.map(({ label, text }) => ({ label, work: () => copyText(text, label) }));
  const whole = job.kind === "imagine" ? commandOf(picture, picture.seed).replace("/imagine prompt:", "") : picture.prompt;
  if (whole) render(html`<button class="text-button" type="button" @click=${() => copyText(whole, t("Prompt"))}>Copy as prompt</button>`, elementOf("as-prompt", HTMLElement));
  const place = document.createElement("span");
  elementOf("copies", HTMLElement).append(place);
  const open = (/** @type {Event} */ event) => openMenu(/** @type {HTMLElement} */ (event.currentTarget), "Copy", [{ name: "Copy", items }]);
  render(html`<button class="button quiet small" type="button" aria-haspopup="menu" aria-expanded="false" @click=${open}>${icon("copy")}Copy</button>`, place);
}

function posting() {
  if (!job.mine || picture.visibility === "block") return;
  const place = document.createElement("span");
  elementOf("keeps", HTMLElement).prepend(place);
  render(html`<button class="button quiet small" type="button" aria-haspopup="dialog" @click=${() => postPicture(job.id, picture.n)}>Post to Discord</button>`, place);
}

async function trash() {
  if (!job.mine) return;
  await trashAndLeave({ job: job.id, n: picture.n }, () => location.replace(after ?? before ?? leave));
}

/** The changes that have led to the picture; one that is taken out begins a conversation. */
function listChanges() {
  const place = elementOf("changes", HTMLElement);
  place.replaceChildren();
  render(changesList({ job: job.id, n: picture.n }, changes, ({ href }) => location.assign(href)), place);
}

/** @param {SubmitEvent} event */
function onAction(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const to = form.dataset.send ?? "";
  if (to.startsWith("DELETE")) {
    event.preventDefault();
    return void deleteJobForGood(job, { gone: () => location.replace(leave) });
  }
  const [, n, name] = /\/jobs\/[^/]+\/(\d+)\/(\w+)$/.exec(to) ?? [];
  const action = actions.find((one) => one.action === name);
  if (!action) return;
  event.preventDefault();
  send(form, Number(n), action).catch(showError);
  const opened = form.closest(".first-form");
  if (opened) openForm(opened.id, false);
}

/** @param {HTMLFormElement} form @param {number} n @param {Action} action */
async function send(form, n, action) {
  const filled = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
  const added = action.action === "edit" ? await beside : undefined;
  if (!added?.all.length) return void results.press(job, n, action, filled);
  const pictures = [...added.all];
  results.press(job, n, action, { ...filled, pictures: await added.ids() });
  added.remove(pictures);
}

/** Let pictures be added to a change, which its words may name: chosen, or dropped on its form. */
function takeBeside() {
  const field = /** @type {HTMLInputElement | null} */ (document.getElementById("edit-file"));
  if (!field?.form) return;
  unhide("edit-add");
  const add = (/** @type {(all: Attachments) => void} */ work) => {
    beside ??= import("./parts/attachments.js").then(({ Attachments }) => new Attachments(elementOf("edit-pictures", HTMLElement)));
    beside.then(work).catch(showError);
  };
  takeChosen(field, (files) => add((all) => all.addFiles(files)));
  takeDrops(field.form, (data) => {
    const own = droppedPicture(data);
    add((all) => (own ? all.addOwn(own.job, own.n) : all.addFiles(data?.files ?? [])));
    return true;
  });
}

/** @param {string} id @param {boolean} on */
function openForm(id, on) {
  const form = elementOf(id, HTMLElement);
  form.hidden = !on;
  for (const button of document.querySelectorAll(`[data-opens="${id}"]`)) button.setAttribute("aria-expanded", String(on));
  if (on) form.querySelector(/** @type {"textarea"} */ ("textarea, input"))?.focus();
}

/** What opens below the first row, one at a time; what stands behind More lies over the rest. */
function openings() {
  for (const form of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".first-form"))) {
    const buttons = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`[data-opens="${form.id}"]`));
    const press = () => {
      const on = Boolean(form.hidden);
      document.getElementById("more-actions")?.hidePopover();
      for (const other of document.querySelectorAll(".first-form")) openForm(other.id, other === form && on);
    };
    for (const button of buttons) button.addEventListener("click", press);
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      openForm(form.id, false);
      [...buttons].find((one) => one.checkVisibility())?.focus();
    });
  }
  const more = document.getElementById("more-actions");
  const button = document.getElementById("more-button");
  if (!more || !button) return;
  more.addEventListener("beforetoggle", () => {
    const { right, bottom } = button.getBoundingClientRect();
    more.style.cssText = `right: ${document.documentElement.clientWidth - right - scrollX}px; top: ${bottom + scrollY + 4}px`;
  });
  more.addEventListener("submit", () => more.hidePopover());
  if (location.hash === "#actions") more.showPopover();
}

/** The videos that this one may be blended with: one's own, read when they are asked for. */
function chooseVideo() {
  const place = document.getElementById("choose-video");
  if (!place) return;
  document.querySelector('[data-opens="first-vblend"]')?.addEventListener("click", async () => {
    if (place.childElementCount) return;
    try {
      const { pictures } = await readPictures(new URLSearchParams({ kind: "video", limit: "60" }));
      const others = pictures.filter((one) => one.visibility === "show" && one.seconds !== null && (one.job !== job.id || one.n !== picture.n));
      render(
        others.length
          ? html`<fieldset><legend>Video that it leads to</legend><div class="videos" tabindex="0">${others.map(
              (one, at) => html`<label><input type="radio" name="source" value="${one.job} ${one.n}" required ?checked=${at === 0}><img src=${one.small} alt=${one.alt} loading="lazy" width="256" height="256"></label>`,
            )}</div></fieldset>`
          : html`<p class="muted small">You have no other video yet.</p>`,
        place,
      );
    } catch (error) {
      showError(error);
    }
  });
}

function asking() {
  const form = document.getElementById("ask");
  if (!(form instanceof HTMLFormElement)) return;
  const field = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem("question"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const said = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
    field.value = "";
    results.question(said).then((sent) => {
      if (!sent && !field.value) field.value = said.question ?? "";
    });
  });
}

/** Enter sends what is typed, Shift with it begins a line. */
function sendByEnter() {
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("#ask, .first-form form"))) {
    form.querySelector("textarea")?.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
  }
}

function download() {
  const link = document.querySelector(".about-head a[download]");
  if (link instanceof HTMLElement) link.click();
}

const close = elementOf("close", HTMLAnchorElement);
close.href = leave;
close.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  goBack();
});
const shown = document.getElementById("picture");
const player = shown instanceof HTMLVideoElement ? new Player(stage, shown, picture.video?.sound ?? false) : null;
markOrigin();
edges();
copies();
posting();
openings();
chooseVideo();
asking();
listChanges();
sendByEnter();
const like = hearts();
const compare = comparing();
/** @type {Promise<Attachments> | undefined} read with the first picture that is added to a change */
let beside;
document.getElementById("actions")?.addEventListener("submit", onAction);
takeBeside();
document.getElementById("away")?.addEventListener("submit", (event) => {
  event.preventDefault();
  trash();
});
document.getElementById("to-folder")?.addEventListener("click", async () => {
  const { chooseFolder } = await import("./parts/chosen.js"); // with the first picture that is kept
  await chooseFolder([{ job: job.id, n: picture.n }]);
});
followNews((news) => results.take(news).catch(showError));
startPage();
offerShare();
tellAway(() => {});
addShortcuts({
  ArrowLeft: () => go(before),
  ArrowRight: () => go(after),
  l: like,
  c: () => compare?.toggle(),
  d: () => download(),
  p: () => copyText(picture.prompt, t("Prompt")),
  k: () => player?.toggle(),
  Delete: trash,
  Escape: () => (compare?.on ? compare.toggle() : goBack()),
});
