// Short messages at the foot of the page. Their place has role=status, so they are read out too.

import { plain } from "./text.js";

const STAYS = 6000; // ms
const MOST = 3;

/**
 * @param {string} text
 * @param {{bad?: boolean, link?: {href: string, label: string}, press?: {label: string, work: () => void}}} [more]
 */
export function toast(text, { bad = false, link, press } = {}) {
  const place = document.getElementById("toasts");
  if (!place) return;
  const box = document.createElement("div");
  box.className = bad ? "toast bad" : "toast";
  const words = document.createElement("span");
  words.textContent = plain(text);
  box.append(words);
  if (link) box.append(Object.assign(document.createElement("a"), { href: link.href, textContent: link.label }));
  if (press) box.append(button(press.label, () => { box.remove(); press.work(); }));
  const close = button("×", () => box.remove());
  close.setAttribute("aria-label", "Close");
  box.append(close);
  while (place.querySelectorAll(".toast").length >= MOST) place.querySelector(".toast")?.remove();
  place.append(box);
  stay(box, bad ? 2 * STAYS : STAYS);
}

/**
 * Let screen readers say it; nothing is shown.
 * @param {string} text
 */
export function say(text) {
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
function stay(box, ms) {
  setTimeout(() => (box.matches(":hover, :focus-within") ? stay(box, ms) : box.remove()), ms);
}

/**
 * Say what went wrong.
 * @param {unknown} error
 */
export function complain(error) {
  toast(error instanceof Error ? error.message : String(error), { bad: true });
}
