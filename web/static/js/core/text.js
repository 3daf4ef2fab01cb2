// What a page says: its language, how prompts, times and numbers are written, and the short messages at its foot.
import { html as lit } from "../../vendor/lit-html/lit-html.js";

/** @import {Job} from "../types.js" */

// The page's language, as <html lang> says: the texts of scripts in it, and the pages' own `html`, which translates
// what its templates say. English is the source and needs no file.

export const LANGUAGE = globalThis.document?.documentElement.lang || "en";
/** For dates and numbers. */
export const LOCALE = LANGUAGE === "en" ? "en-GB" : LANGUAGE;

/** @type {Record<string, string | string[]>} a text → its translation, or that of each plural form */
const TEXTS = LANGUAGE === "en" ? {} : await fetch(new URL(`../../languages/${LANGUAGE}.json`, import.meta.url)).then((found) => (found.ok ? found.json() : {}), () => ({}));
const RULES = new Intl.PluralRules(LANGUAGE);
const FORMS = ["zero", "one", "two", "few", "many", "other"].filter((form) => /** @type {string[]} */ (RULES.resolvedOptions().pluralCategories).includes(form));

/**
 * @param {string} message
 * @param {unknown[]} values
 */
const filled = (message, values) => message.replace(/\{(\d+)\}/g, (_, at) => String(values[at] ?? ""));

/**
 * A text in the page's language; "{0}", "{1}" … in it stand for `values`.
 * @param {string} message
 * @param {...unknown} values
 */
export function t(message, ...values) {
  const found = TEXTS[message] ?? message;
  return filled(typeof found === "string" ? found : message, values);
}

/**
 * The text for a number of something; "{0}" stands for the number.
 * @param {string} one
 * @param {string} other
 * @param {number} count
 */
export function tn(one, other, count) {
  const found = TEXTS[one];
  const message = Array.isArray(found) ? (found[FORMS.indexOf(RULES.select(count))] ?? found.at(-1) ?? other) : count === 1 ? one : other;
  return filled(message, [count.toLocaleString(LOCALE)]);
}

// Templates: each text between two tags, and each attribute that is read, is a text; "{0}" stands for its first value.

const VALUE = "\uE000";
const SHOWN = /((?:^|[\s"'])(?:title|placeholder|aria-label|alt|label)=")([^"]*)(?=")/g;
const EDGES = /^((?:\s|\uE000(?! ))*)(.*?)((?:\s|(?<! )\uE000)*)$/s;

/** @typedef {{strings: TemplateStringsArray, order: number[]}} Translated */
/** @type {WeakMap<TemplateStringsArray, Translated>} */
const known = new WeakMap();

/**
 * As lit-html's, in the page's language.
 * @param {TemplateStringsArray} strings
 * @param {...unknown} values
 */
export function html(strings, ...values) {
  if (LANGUAGE === "en") return lit(strings, ...values);
  const { strings: own, order } = known.get(strings) ?? remember(strings);
  return lit(own, ...order.map((at) => values[at]));
}

/** @param {TemplateStringsArray} strings */
function remember(strings) {
  const made = translated([...strings]);
  const own = /** @type {TemplateStringsArray} */ (/** @type {unknown} */ (Object.assign(made.strings, { raw: made.strings })));
  const found = { strings: own, order: made.order };
  known.set(strings, found);
  return found;
}

/**
 * The strings of a template in the page's language, and which value stands after each. Pure, but for the texts.
 * @param {string[]} strings
 * @param {(message: string) => string} [translate]
 */
export function translated(strings, translate = (message) => t(message, ...Array.from({ length: 10 }, (_, at) => `{${at}}`))) {
  const parts = strings.join(VALUE).split(/(<[^>]*>)/);
  let [page, count] = ["", 0];
  /** @type {number[]} */
  const order = [];
  const plain = (/** @type {string} */ text) => {
    for (const letter of text) if (letter === VALUE) order.push(count++);
    page += text;
  };
  const shown = (/** @type {string} */ text) => {
    const [, before = "", words = "", after = ""] = EDGES.exec(text) ?? [];
    if (!/[A-Za-z]{2}/.test(words)) return plain(text);
    plain(before);
    let at = 0;
    const message = words.replace(/\s+/g, " ").replaceAll(VALUE, () => `{${at++}}`);
    for (const part of translate(message).split(/(\{\d\})/)) {
      if (/^\{\d\}$/.test(part)) {
        order.push(count + Number(part[1]));
        page += VALUE;
      } else page += part;
    }
    count += at;
    plain(after);
  };
  for (const part of parts) {
    if (!part.startsWith("<")) shown(part);
    else {
      let begin = 0;
      for (const found of part.matchAll(SHOWN)) {
        const [whole, name = "", value = ""] = found;
        plain(part.slice(begin, found.index) + name);
        shown(value);
        begin = found.index + whole.length;
      }
      plain(part.slice(begin));
    }
  }
  return { strings: page.split(VALUE), order };
}

// Prompts, times and numbers

const FLAG = /(?:^|\s)(?:--|—)(?=[a-z])/i;

/**
 * The words of a prompt, and its flags without dashes ("ar 3:2").
 * @param {string} prompt
 */
export function splitPrompt(prompt) {
  const [words, ...flags] = prompt.split(FLAG).map((part) => part.trim());
  return { words: words ?? "", flags };
}

/**
 * The prompt with a flag set to `value`, "" for a flag without one, null to take it out. `names`: its name
 * first, then its other names.
 * @param {string} prompt
 * @param {string[]} names
 * @param {string | null} value
 */
export function withFlag(prompt, names, value) {
  const { words, flags } = splitPrompt(prompt);
  const kept = flags.filter((flag) => !names.includes(flagName(flag)));
  if (value !== null) kept.push(`${names[0]} ${value}`.trim());
  const text = [words, ...kept.map((flag) => `--${flag}`)].join(" ").trim();
  return text && kept.length === 0 ? text : text && `${text} `;
}

/** @param {string} flag */
const flagName = (flag) => (flag.split(/\s/, 1)[0] ?? "").toLowerCase();

/**
 * What a flag is set to in a prompt: "" when it takes nothing, null when it isn't there.
 * @param {string} prompt
 * @param {string[]} names
 */
export function flagValue(prompt, names) {
  const found = splitPrompt(prompt).flags.findLast((flag) => names.includes(flagName(flag)));
  return found === undefined ? null : found.slice(flagName(found).length).trim();
}

/**
 * The shape of the pictures that a prompt asks for, as [width, height].
 * @param {string} prompt
 * @returns {[number, number]}
 */
export function shapeOf(prompt) {
  const typed = flagValue(prompt, ["ar", "aspect"]) ?? flagValue(prompt, ["size"]) ?? "";
  const [, width, height] = /^(\d+)\s*[:x×]\s*(\d+)/i.exec(typed) ?? [];
  const [w, h] = [Number(width), Number(height)];
  return w > 0 && h > 0 && w / h <= 14 && h / w <= 14 ? [w, h] : [1, 1];
}

/**
 * "12 s", "3 min", "1 h 5 min".
 * @param {number} seconds
 */
export function durationOf(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes % 60 ? t("{0} h {1} min", Math.floor(minutes / 60), minutes % 60) : `${minutes / 60} h`;
}

const STEPS = /** @type {[number, Intl.RelativeTimeFormatUnit][]} */ ([[86400, "day"], [3600, "hour"], [60, "minute"]]);
const RELATIVE = new Intl.RelativeTimeFormat(LOCALE, { numeric: "auto" });
const DATE = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "long", year: "numeric" });

/**
 * "5 minutes ago", "yesterday"; after a week the date.
 * @param {string} iso
 * @param {number} [now]  ms
 */
export function timeAgo(iso, now = Date.now()) {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (!(seconds < 7 * 86400)) return Number.isNaN(seconds) ? iso : DATE.format(new Date(iso));
  const [size, unit] = STEPS.find(([size]) => seconds >= size) ?? [0, "second"];
  return size ? RELATIVE.format(-Math.floor(seconds / size), /** @type {Intl.RelativeTimeFormatUnit} */ (unit)) : t("just now");
}

/**
 * How long it is until then, begun days counted: "30 days", "1 day"; "today" when it is over.
 * @param {string} iso
 * @param {number} [now]  ms
 */
export function timeLeft(iso, now = Date.now()) {
  const days = Math.ceil((Date.parse(iso) - now) / 86_400_000);
  return days > 0 ? countOf(days, "day") : t("today");
}

/**
 * "November 2026" of "2026-11".
 * @param {string} month
 */
export function monthName(month) {
  const date = new Date(`${month}-15T12:00:00Z`);
  return Number.isNaN(date.getTime()) ? month : date.toLocaleDateString(LOCALE, { month: "long", year: "numeric", timeZone: "UTC" });
}

/**
 * "1 picture", "1,200 pictures".
 * @param {number} count
 * @param {string} noun
 */
export const countOf = (count, noun) => tn(`{0} ${noun}`, `{0} ${noun}s`, count);

/**
 * The server's sentences as they are written for Discord, without the marks of code around names.
 * @param {string} text
 */
export const plainText = (text) => text.replaceAll("`", "");

/** @param {string} word */
export const capitalized = (word) => word.charAt(0).toUpperCase() + word.slice(1);

// Messages, one at a time, beside what was pressed last. Their place has role=status, so they are read out too.

const STAYS = 6000; // ms
const BESIDE = 10_000; // ms after a press for which a message belongs to it
const GAP = 8; // px
const KEEP_CLEAR = "button, .button, input, select, textarea, summary, .side a"; // what no message may cover

/** @type {{box: DOMRect, at: number} | null} where something was pressed last; it may be gone since */
let pressed = null;

/** Remembers from now on where something is pressed, so that its message appears beside it. */
export function rememberPresses() {
  for (const kind of ["click", "submit"]) {
    document.addEventListener(kind, (event) => {
      const about = event.target instanceof Element && !event.target.closest("#toasts") ? event.target.closest("button, a, input, select, form") : null;
      if (about) pressed = { box: about.getBoundingClientRect(), at: Date.now() };
    }, true);
  }
}

/**
 * The place of a message: the nearest to what was pressed, or else to the lower right corner, that covers nothing that
 * can be pressed; where each covers something, the one that covers least. Pure.
 * @param {{width: number, height: number}} size
 * @param {{width: number, height: number}} view
 * @param {DOMRect | null} near
 * @param {Pick<DOMRect, "left" | "top" | "right" | "bottom">[]} taken
 * @returns {{left: number, top: number}}
 */
export function clearPlace({ width, height }, view, near, taken) {
  const [right, bottom] = [view.width - width - 2 * GAP, view.height - height - 2 * GAP];
  const steps = Array.from({ length: 13 }, (_, n) => n / 12);
  const all = steps.flatMap((x) => steps.map((y) => ({ left: 2 * GAP + x * (right - 2 * GAP), top: 2 * GAP + y * (bottom - 2 * GAP) })));
  const beside = near
    ? [near.bottom + GAP, near.top - height - GAP, near.top].flatMap((top) => [near.left, near.right - width, near.right + GAP, near.left - width - GAP].map((left) => ({ left, top })))
    : [];
  const [x, y] = near ? [(near.left + near.right - width) / 2, (near.top + near.bottom - height) / 2] : [right, bottom];
  const far = (/** @type {{left: number, top: number}} */ { left, top }) => Math.hypot(left - x, top - y);
  const covered = (/** @type {{left: number, top: number}} */ { left, top }) =>
    taken.reduce((sum, one) => sum + Math.max(0, Math.min(one.right, left + width) - Math.max(one.left, left)) * Math.max(0, Math.min(one.bottom, top + height) - Math.max(one.top, top)), 0);
  const inside = [...beside, ...all].filter(({ left, top }) => left >= GAP && top >= GAP && left + width <= view.width - GAP && top + height <= view.height - GAP).sort((one, other) => far(one) - far(other));
  let [best = { left: GAP, top: GAP }] = inside;
  for (const one of inside) if (covered(one) < covered(best)) best = one;
  return best;
}

/** @param {HTMLElement} place  of messages */
function putClear(place) {
  const taken = [...document.querySelectorAll(KEEP_CLEAR)].filter((one) => !place.contains(one) && one.checkVisibility()).map((one) => one.getBoundingClientRect());
  const near = pressed && Date.now() - pressed.at < BESIDE ? pressed.box : null;
  place.removeAttribute("style");
  const { left, top } = clearPlace(place.getBoundingClientRect(), { width: document.documentElement.clientWidth, height: innerHeight }, near, taken);
  Object.assign(place.style, { inset: "auto", left: `${left}px`, top: `${top}px` });
}

/**
 * @param {string} text
 * @param {{bad?: boolean, link?: {href: string, label: string}, press?: {label: string, work: () => void}}} [more]
 */
export function showToast(text, { bad = false, link, press } = {}) {
  const place = document.getElementById("toasts");
  if (!place) return;
  const box = document.createElement("div");
  box.className = bad ? "toast bad" : "toast";
  const words = document.createElement("span");
  words.textContent = plainText(text);
  box.append(words);
  if (link) box.append(Object.assign(document.createElement("a"), { href: link.href, textContent: link.label }));
  if (press) box.append(button(press.label, () => { box.remove(); press.work(); }));
  const close = button("×", () => box.remove());
  close.setAttribute("aria-label", t("Close"));
  box.append(close);
  place.querySelector(".toast")?.remove();
  place.append(box);
  place.style.opacity = "0";
  requestAnimationFrame(() => requestAnimationFrame(() => putClear(place))); // once the page has drawn what it is about
  removeLater(box, bad ? 2 * STAYS : STAYS);
}

/**
 * Let screen readers say it; nothing is shown.
 * @param {string} text
 */
export function announce(text) {
  const said = Object.assign(document.createElement("p"), { className: "sr", textContent: text });
  document.getElementById("toasts")?.append(said);
  setTimeout(() => said.remove(), STAYS);
}

/**
 * @param {string} label
 * @param {() => void} work
 */
function button(label, work) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: label });
  made.addEventListener("click", work);
  return made;
}

/**
 * Take the box away after a while, but not while somebody reads or uses it.
 * @param {HTMLElement} box
 * @param {number} ms
 */
function removeLater(box, ms) {
  setTimeout(() => (box.matches(":hover, :focus-within") ? removeLater(box, ms) : box.remove()), ms);
}

/**
 * Say what went wrong.
 * @param {unknown} error
 */
export function showError(error) {
  showToast(error instanceof Error ? error.message : String(error), { bad: true });
}

// A job as the command that asks for it in Discord. Pure.

/**
 * The prompt with the seed that drew this picture, so that the command draws it again.
 * @param {Pick<Job, "prompt">} job
 * @param {number | null} seed
 */
export function commandOf({ prompt }, seed) {
  const own = /(?:--|—)(?:same)?seed\b/i.test(prompt) || seed === null ? "" : t(" --seed {0}", seed);
  return `/imagine prompt:${prompt}${own}`;
}
