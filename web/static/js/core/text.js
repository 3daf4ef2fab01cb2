// How prompts, times and numbers are written. Pure.

const FLAG = /(?:^|\s)(?:--|—)(?=[a-z])/i;

/**
 * The words of a prompt, and its flags without dashes ("ar 3:2").
 * @param {string} prompt
 */
export function split(prompt) {
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
  const { words, flags } = split(prompt);
  const kept = flags.filter((flag) => !names.includes(nameOf(flag)));
  if (value !== null) kept.push(`${names[0]} ${value}`.trim());
  const text = [words, ...kept.map((flag) => `--${flag}`)].join(" ").trim();
  return text && kept.length === 0 ? text : text && `${text} `;
}

/** @param {string} flag */
const nameOf = (flag) => (flag.split(/\s/, 1)[0] ?? "").toLowerCase();

/**
 * What a flag is set to in a prompt: "" when it takes nothing, null when it isn't there.
 * @param {string} prompt
 * @param {string[]} names
 */
export function flagValue(prompt, names) {
  const found = split(prompt).flags.findLast((flag) => names.includes(nameOf(flag)));
  return found === undefined ? null : found.slice(nameOf(found).length).trim();
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
 * How long a film is, as players write it: "0:05".
 * @param {number} seconds
 */
export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/**
 * "12 s", "3 min", "1 h 5 min".
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

const STEPS = /** @type {[number, Intl.RelativeTimeFormatUnit][]} */ ([[86400, "day"], [3600, "hour"], [60, "minute"]]);
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });

/**
 * "5 minutes ago", "yesterday"; after a week the date.
 * @param {string} iso
 * @param {number} [now]  ms
 */
export function ago(iso, now = Date.now()) {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (!(seconds < 7 * 86400)) return Number.isNaN(seconds) ? iso : DATE.format(new Date(iso));
  const [size, unit] = STEPS.find(([size]) => seconds >= size) ?? [0, "second"];
  return size ? RELATIVE.format(-Math.floor(seconds / size), /** @type {Intl.RelativeTimeFormatUnit} */ (unit)) : "just now";
}

/**
 * How long it is until then, begun days counted: "30 days", "1 day"; "today" when it is over.
 * @param {string} iso
 * @param {number} [now]  ms
 */
export function left(iso, now = Date.now()) {
  const days = Math.ceil((Date.parse(iso) - now) / 86_400_000);
  return days > 0 ? counted(days, "day") : "today";
}

/**
 * "November 2026" of "2026-11".
 * @param {string} month
 */
export function monthName(month) {
  const date = new Date(`${month}-15T12:00:00Z`);
  return Number.isNaN(date.getTime()) ? month : date.toLocaleDateString("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });
}

/**
 * "1 picture", "1,200 pictures".
 * @param {number} count
 * @param {string} noun
 */
export const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/**
 * The server's sentences as they are written for Discord, without the marks of code around names.
 * @param {string} text
 */
export const plain = (text) => text.replaceAll("`", "");

/** @param {string} word */
export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
