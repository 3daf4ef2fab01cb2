// Pages of nine pictures: likes are kept here until the page is left, then sent behind; the next page is there already.
import { fetchJson, sendJson, untilAnswered } from "./core/api.js";
import { elementOf, startPage } from "./core/page.js";
import { showError, t } from "./core/text.js";

/**
 * @typedef {{page: string, tiles: {style: number, words: string, src: string}[]}} Nine
 * @typedef {{pages: Nine[], told: string, share: number}} Answer
 */

/** @type {Nine[]} */
const pages = [];
/** @type {Map<string, Set<number>>}  page → liked styles */
const liked = new Map();
let at = 0;
let sending = Promise.resolve();

const here = () => pages[at];
const likedHere = () => liked.get(here()?.page ?? "");

/** @param {Answer} answer */
function take({ pages: more, told, share }) {
  for (const one of more) {
    pages.push(one);
    liked.set(one.page, new Set());
    for (const { src } of one.tiles) new Image().src = src;
  }
  elementOf("nine-told", HTMLParagraphElement).textContent = told;
  elementOf("nine-known", HTMLProgressElement).value = Math.max(0, 2 * share - 100); // half of all guesses are right by chance
}

function showNext() {
  elementOf("next", HTMLButtonElement).textContent = likedHere()?.size ? t("Next") : t("None of these");
}

/** @param {number} place */
function press(place) {
  const button = elementOf("nine", HTMLDivElement).children[place];
  const chosen = likedHere();
  const style = here()?.tiles[place]?.style;
  if (!(button instanceof HTMLButtonElement) || !chosen || style === undefined) return;
  if (!chosen.delete(style)) chosen.add(style);
  button.setAttribute("aria-pressed", String(chosen.has(style)));
  showNext();
}

/** @param {Nine["tiles"][number]} tile @param {number} place */
function buttonOf({ style, words, src }, place) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.append(Object.assign(new Image(256, 256), { src, alt: words }));
  button.setAttribute("aria-pressed", String(likedHere()?.has(style)));
  button.addEventListener("click", () => press(place));
  return button;
}

function show() {
  const nine = elementOf("nine", HTMLDivElement);
  const focused = nine.contains(document.activeElement);
  nine.replaceChildren(...(here()?.tiles.map(buttonOf) ?? []));
  if (focused) nine.querySelector("button")?.focus();
  elementOf("back", HTMLButtonElement).disabled = at === 0;
  elementOf("nine-bar", HTMLDivElement).hidden = !pages.length;
  elementOf("next", HTMLButtonElement).disabled = !here();
  if (!here()) elementOf("nine-told", HTMLParagraphElement).textContent = t("There are no more pictures to rate now. If the operator lets it, the studio draws more while nobody waits.");
  showNext();
}

/** Send what was said of a page; sent again, it counts once. @param {Nine} nine */
async function send({ page, tiles }) {
  const styles = tiles.map(({ style }) => style);
  const chosen = liked.get(page) ?? new Set();
  const said = { page, liked: styles.filter((style) => chosen.has(style)), passed: styles.filter((style) => !chosen.has(style)), shown: pages.slice(at, at + 4).flatMap((one) => one.tiles.map(({ style }) => style)) };
  try {
    const answer = /** @type {Answer} */ (await untilAnswered(() => sendJson("POST", "/api/taste/nine", said)));
    const waited = !here();
    take({ ...answer, pages: pages.length - at < 2 ? answer.pages : [] });
    if (waited) show();
  } catch (error) {
    showError(error);
  }
}

function next() {
  const left = here();
  if (!left) return;
  at += 1;
  show();
  sending = sending.then(() => send(left));
}

function back() {
  if (!at) return;
  at -= 1;
  show();
}

async function startNine() {
  if (!document.getElementById("nine")) return;
  elementOf("next", HTMLButtonElement).addEventListener("click", next);
  elementOf("back", HTMLButtonElement).addEventListener("click", back);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const field = event.target instanceof Element && event.target.closest("input, textarea, select, dialog, a");
    if (field) return;
    const onButton = event.target instanceof Element && event.target.closest("button");
    if (/^[1-9]$/.test(event.key)) press(Number(event.key) - 1);
    else if (event.key === "ArrowRight" || (event.key === " " && !onButton)) next();
    else if (event.key === "ArrowLeft") back();
    else return;
    event.preventDefault();
  });
  try {
    take(/** @type {Answer} */ (await fetchJson("/api/taste/nine", {})));
    show();
  } catch (error) {
    showError(error);
  }
}

startPage({ nine: startNine });
