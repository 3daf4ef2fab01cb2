// What every page has: its data and elements, icons, the theme, shortcuts, whoever is signed in.
import { nothing, render } from "../../vendor/lit-html/lit-html.js";
import { beforeSignOut, fetchJson, forgetKept, keepForGood, keptForGood, keptHere, leaveNote, outbox, sendJson, signIn, takeNote } from "./api.js";
import { html, rememberPresses, showError, showToast, t } from "./text.js";

/** @import {TemplateResult} from "../../vendor/lit-html/lit-html.js" */

const ICONS = new URL("../../icons.svg", import.meta.url).pathname;

/** What saves a picture is called; Discord's frame saves no files. */
export const SAVE = "inside" in document.body.dataset ? t("Send to me") : t("Download");

/** @param {string} name  of a symbol in icons.svg */
export const icon = (name) => html`<svg class="icon" aria-hidden="true"><use href="${ICONS}#${name}"></use></svg>`;

/**
 * The mark of a video on its first frame: "▶ 0:05".
 * @param {number} seconds
 */
export const videoLength = (seconds) => html`<span class="length" aria-hidden="true">${icon("play")}${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}</span>`;

/**
 * The JSON that the server wrote into the page; the caller names its type.
 * @returns {unknown}
 */
export function pageData() {
  return JSON.parse(document.getElementById("data")?.textContent || "{}");
}

/**
 * The element with this id, of this class. Throws when the template has none.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function elementOf(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(t("#{0} is missing", id));
  return found;
}

/**
 * Show what the template hides from browsers without JavaScript.
 * @param {...string} ids
 */
export function unhide(...ids) {
  for (const id of ids) document.getElementById(id)?.removeAttribute("hidden");
}

/**
 * Let many calls in one frame run `work` once.
 * @param {() => void} work
 */
export function oncePerFrame(work) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      work();
    });
  };
}

/**
 * Rows of a list, each of which stays with the item it shows: it keeps its elements, its picture and the focus
 * wherever it moves to.
 * @template Item
 */
export class Rows {
  /**
   * @param {HTMLElement} place
   * @param {(item: Item) => unknown} keyOf
   * @param {(item: Item) => TemplateResult} drawn
   */
  constructor(place, keyOf, drawn) {
    this.place = place;
    this.keyOf = keyOf;
    this.drawn = drawn;
    /** @type {Map<unknown, {begin: Comment, end: Comment}>} what stands around each row */
    this.edges = new Map();
  }

  /** @param {Item[]} items */
  draw(items) {
    const keys = new Set(items.map(this.keyOf));
    for (const [key, row] of this.edges) {
      if (keys.has(key)) continue;
      for (const node of nodesOf(row)) node.remove();
      this.edges.delete(key);
    }
    /** @type {ChildNode | null} */
    let next = null;
    for (const item of items.toReversed()) {
      const key = this.keyOf(item);
      let row = this.edges.get(key);
      if (!row) {
        row = { begin: document.createComment(""), end: document.createComment("") };
        this.edges.set(key, row);
      }
      if (row.end.nextSibling !== next || !row.end.parentNode) for (const node of nodesOf(row)) this.place.insertBefore(node, next);
      render(this.drawn(item), this.place, { renderBefore: row.end });
      next = row.begin;
    }
  }
}

/** What stands in a row, its edges among it. No Range: each that lives is kept right by every later change. @param {{begin: Node, end: ChildNode}} row */
function nodesOf({ begin, end }) {
  const nodes = /** @type {ChildNode[]} */ ([begin]);
  for (let node = begin.nextSibling; node && node !== end; node = node.nextSibling) nodes.push(node);
  return [...nodes, end];
}

// The theme: light, dark, or as the system has it.

export const THEMES = /** @type {const} */ (["system", "light", "dark"]);

/** @typedef {typeof THEMES[number]} Theme */

/** @returns {Theme} */
export const currentTheme = () => THEMES.find((one) => one === keptForGood("theme")) ?? "system";

/** @param {Theme} chosen */
export function setTheme(chosen) {
  keepForGood("theme", chosen === "system" ? null : chosen);
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

// Keys that act anywhere but in fields. Single letters can be switched off (WCAG 2.1.4).

/** @typedef {Record<string, (event: KeyboardEvent) => void>} Keys  by KeyboardEvent.key; "g c" is a sequence */

const PAUSE = 1200; // ms between the keys of a sequence
const FIELD = "input:not([type=checkbox], [type=range]), textarea, select, [contenteditable]";
const SLIDER = "input[type=range], video[controls]"; // takes arrows, but no letters

/** @type {Keys} */
const known = {};
let before = "";
let at = 0;

export const lettersOn = () => keptForGood("letters") !== "off";

/** @param {boolean} on */
export const setLetters = (on) => keepForGood("letters", on ? null : "off");

/** @param {EventTarget | null} target */
export const isField = (target) => target instanceof Element && target.matches(FIELD);

/** @param {Keys} keys */
export function addShortcuts(keys) {
  Object.assign(known, keys);
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.key === "Escape" && !event.defaultPrevented) closeDetails(event);
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isField(event.target)) return;
  if (document.querySelector("dialog[open], [popover]:popover-open")) return;
  const isLetter = event.key.length === 1;
  if (isLetter ? !lettersOn() : event.target instanceof Element && event.target.matches(SLIDER) && event.key !== "Escape") return;
  const sequence = Date.now() - at < PAUSE ? `${before} ${event.key}` : "";
  const work = known[sequence] ?? known[event.key];
  [before, at] = [event.key, Date.now()];
  if (!work) return;
  work(event);
}

/** Close the box that opened over the page, or the one that has the focus. @param {KeyboardEvent} event */
function closeDetails(event) {
  const open = document.activeElement?.closest("details[open]") ?? document.querySelector(".more-filters[open]");
  if (!(open instanceof HTMLDetailsElement) || document.querySelector("dialog[open], [popover]:popover-open")) return;
  event.preventDefault();
  open.open = false;
  open.querySelector("summary")?.focus();
}

document.addEventListener("keydown", onKey);

// The theme's button, the sandbox's other person, shortcuts to the pages

const THEME_ICONS = { system: "auto", light: "sun", dark: "moon" };
const LAST = 5000; // ms that signing out waits for what isn't sent
const PAGES = { c: "/", p: "/pictures", e: "/explore", a: "/ask", f: "/folders", d: "/documents", m: "/projects", q: "/queue", t: "/trash", s: "/settings" };

function themeButton() {
  const button = document.getElementById("theme");
  if (!button) return;
  const show = () => {
    const use = button.querySelector("use");
    use?.setAttribute("href", `${use.getAttribute("href")?.split("#")[0]}#${THEME_ICONS[currentTheme()]}`);
    button.setAttribute("aria-label", t("Theme: {0}. Change it", currentTheme()));
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    setTheme(THEMES[(THEMES.indexOf(currentTheme()) + 1) % THEMES.length] ?? "system");
    show();
  });
  show();
}

function otherPerson() {
  const button = document.querySelector("[data-become]");
  if (!(button instanceof HTMLElement)) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    lastWords().then(() => signIn({ who: button.dataset.become ?? "" })).then(() => location.assign("/"), (error) => {
      delete document.body.dataset.leaving;
      showError(error);
    });
  });
}

/** What isn't sent yet goes, as far as it goes in a few seconds; then the page leaves. */
async function lastWords() {
  await Promise.race([Promise.allSettled(beforeSignOut.map((work) => work())), new Promise((done) => setTimeout(done, LAST))]);
  document.body.dataset.leaving = "";
}

/** @param {SubmitEvent} event */
function onSubmit(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.dataset.send || event.defaultPrevented) return;
  event.preventDefault();
  sendForm(form);
}

/** Show another page, or this one again with what is new on it. @param {string} href */
export function goTo(href) {
  const { pathname, search, hash } = new URL(href, location.href);
  const scrolls = hash !== "" && pathname === location.pathname && search === location.search;
  location.assign(href);
  if (scrolls) location.reload();
}

const LISTS = ["pictures", "rights"]; // fields with several values

/**
 * What a form says, in JSON: its fields, and what `data-says` adds.
 * @param {HTMLFormElement} form
 * @param {FormData} data
 */
function saidBy(form, data) {
  const numbers = [.../** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("input[type=number]"))];
  return {
    ...JSON.parse(form.dataset.says ?? "{}"),
    ...Object.fromEntries(data),
    ...Object.fromEntries(LISTS.filter((name) => data.has(name)).map((name) => [name, data.getAll(name)])),
    ...Object.fromEntries(numbers.map(({ name, valueAsNumber }) => [name, valueAsNumber])),
  };
}

/**
 * Say what a form says to where `data-send` names, such as "PATCH /api/folders/abc"; a name in braces is that field's value.
 * Then the page `data-then` follows, or else the one that is answered, or this one again.
 * Who leaves with it keeps nothing in this browser; what isn't sent goes first.
 * @param {HTMLFormElement} form
 */
export async function sendForm(form) {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  const data = new FormData(form);
  const [method = "", path = ""] = (form.dataset.send ?? "").replace(/\{(\w+)\}/, (_, name) => String(data.get(name))).split(" ");
  try {
    if ("leaves" in form.dataset) {
      await lastWords();
      await forgetKept();
    }
    const work = form.enctype === "multipart/form-data" ? fetchJson(path, { method, body: data }) : sendJson(method, path, method === "DELETE" ? undefined : saidBy(form, data));
    const told = /** @type {{href?: string, sentence?: string} | null} */ (await work);
    if (told?.sentence) leaveNote("said", told.sentence);
    const next = form.dataset.then ?? told?.href;
    if (next) goTo(next);
    else location.reload();
  } catch (error) {
    delete document.body.dataset.leaving;
    form.ariaBusy = "false";
    showError(error);
  }
}

/** @param {KeyboardEvent} event */
function focusPrompt(event) {
  event.preventDefault();
  const field = document.getElementById("bar-prompt");
  if (field) field.focus();
  else location.assign("/#prompt");
}

/**
 * The server sends a veiled picture blurred; whoever wants to see it fetches the plain one.
 * @param {Event} event
 */
function unveil({ target }) {
  if (!(target instanceof HTMLInputElement) || !target.closest(".veil")) return;
  const picture = target.closest(".veiled")?.querySelector("img");
  if (picture && target.checked && !picture.src.includes("?")) picture.src += "?plain=1";
}

/** A video of a list plays while the pointer is on it, without sound, unless less motion is wanted. */
function playUnderPointer() {
  if (matchMedia("(prefers-reduced-motion: reduce), (hover: none)").matches) return;
  document.addEventListener("pointerover", ({ target }) => {
    const link = target instanceof Element ? target.closest("a:has(> .length):not(.veiled *, :has(video))") : null;
    const [, name] = /\/pictures(\/\w+\/\d+)$/.exec(link?.getAttribute("href") ?? "") ?? [];
    if (!link || !name) return;
    const video = Object.assign(document.createElement("video"), { src: `/files${name}.mp4`, className: "under-pointer", muted: true, loop: true, autoplay: true });
    link.append(video);
    link.addEventListener("pointerleave", () => video.remove(), { once: true });
  });
}

/**
 * Ask before a form is sent that deletes something.
 * @param {HTMLFormElement} form
 * @param {string} title
 * @param {string} text
 * @param {string} label
 */
export function askBefore(form, title, text, label) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { askConfirmed } = await import("./dialog.js");
    if (await askConfirmed(title, text, label, { bad: true })) sendForm(form);
  });
}

/**
 * Start what a page has of its own, by its name, then what every page has.
 * @param {Record<string, () => void>} [pages]
 */
export function startPage(pages = {}) {
  rememberPresses();
  pages[document.body.dataset.page ?? ""]?.();
  if (keptHere("outbox")) outbox(); // what the page before couldn't send
  const said = takeNote("said");
  if (said) showToast(said);
  document.addEventListener("change", unveil);
  document.cookie = `zone=${Intl.DateTimeFormat().resolvedOptions().timeZone}; path=/; max-age=31536000`;
  document.addEventListener("submit", onSubmit);
  themeButton();
  otherPerson();
  playUnderPointer();
  addShortcuts({ "/": focusPrompt, "?": () => location.assign("/keys") });
  for (const [key, href] of Object.entries(PAGES)) addShortcuts({ [`g ${key}`]: () => location.assign(href) });
  const { scroll = 0 } = /** @type {{scroll?: number}} */ (history.state ?? {});
  const [way] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  if (scroll && way?.type === "back_forward" && history.scrollRestoration === "auto") scrollTo(0, scroll);
  if (location.hash === "#prompt") document.getElementById("bar-prompt")?.focus();
  if (location.hash === "#question") /** @type {HTMLElement | null} */ (document.querySelector(".ask textarea"))?.focus();
  document.body.dataset.started = "";
  dispatchEvent(new Event("started")); // what was sent before goes now
}

/**
 * Hand over the files that are chosen in a field, which can then be chosen again.
 * @param {HTMLInputElement} field
 * @param {(files: File[]) => void} take
 */
export function takeChosen(field, take) {
  field.addEventListener("change", () => {
    const files = [...(field.files ?? [])];
    field.value = "";
    take(files);
  });
}

/**
 * The picture of the studio's whose page is dropped or pasted; null where it is something else.
 * @param {DataTransfer | null} data
 */
export function droppedPicture(data) {
  const [, job, n] = /\/pictures\/([a-z0-9]+)\/(\d+)/.exec(data?.getData("text/uri-list") ?? "") ?? [];
  return job && n ? { job, n: Number(n) } : null;
}

/**
 * Mark a bar while files or pictures are dragged over the page, and hand it what is dropped.
 * @param {HTMLElement} bar
 * @param {(data: DataTransfer | null) => boolean} take  returns whether there was something for it
 */
export function takeDrops(bar, take) {
  const over = (/** @type {boolean} */ on) => bar.classList.toggle("over", on);
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.some((type) => type === "Files" || type === "text/uri-list")) return;
    event.preventDefault();
    over(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && over(false));
  addEventListener("drop", (event) => {
    over(false);
    if (take(event.dataTransfer)) event.preventDefault();
  });
}

/**
 * What stands where there is nothing yet.
 * @param {string} name  of the icon
 * @param {string} title
 * @param {string} text
 * @param {TemplateResult | typeof nothing} [more]
 */
export const emptyState = (name, title, text, more = nothing) =>
  html`<div class="empty"><span class="figure">${icon(name)}</span><h2>${title}</h2><p class="muted">${text}</p>${more}</div>`;
