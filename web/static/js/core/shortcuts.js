// Keys that act anywhere on a page but in fields. Single letters can be switched off (WCAG 2.1.4).
import { keep, kept } from "./kept.js";

/** @typedef {Record<string, (event: KeyboardEvent) => void>} Keys  by KeyboardEvent.key; "g c" is a sequence */

const PAUSE = 1200; // ms between the keys of a sequence
const FIELD = "input:not([type=checkbox], [type=range]), textarea, select, [contenteditable]";
const SLIDER = "input[type=range], video[controls]"; // takes arrows, but no letters

/** @type {Keys} */
const known = {};
let before = "";
let at = 0;

export const lettersOn = () => kept("letters") !== "off";

/** @param {boolean} on */
export const setLetters = (on) => keep("letters", on ? null : "off");

/** @param {EventTarget | null} target */
export const isField = (target) => target instanceof Element && target.matches(FIELD);

/** @param {Keys} keys */
export function shortcuts(keys) {
  Object.assign(known, keys);
}

/** @param {KeyboardEvent} event */
function onKey(event) {
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

document.addEventListener("keydown", onKey);
