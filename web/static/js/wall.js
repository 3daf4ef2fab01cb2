// The wall of styles: likes, what Use and Mix write into one's own prompt, and codes of one's own pictures.
import { sendJson } from "./core/api.js";
import { elementOf, startPage } from "./core/page.js";
import { showError, t } from "./core/text.js";

const MOST = 4; // styles that are mixed

/** @param {string} codes */
const promptWith = (codes) => `/?${new URLSearchParams({ prompt: `${elementOf("prompt", HTMLInputElement).value} --sref ${codes}`.trim() })}`;

/** @param {HTMLButtonElement} button */
async function like(button) {
  const style = button.closest("li")?.dataset.number;
  const liked = button.getAttribute("aria-pressed") !== "true";
  const place = button.querySelector("[data-count]");
  try {
    await sendJson("POST", `/api/wall/${style}/like`, { liked });
    button.setAttribute("aria-pressed", String(liked));
    if (place) place.textContent = String(Math.max(0, Number(place.textContent) + (liked ? 1 : -1)) || "");
  } catch (error) {
    showError(error);
  }
}

/** @type {HTMLInputElement[]}  in the order in which they were chosen */
let mixed = [];

function showMix() {
  const codes = mixed.map((one, place) => `${one.value}::${place ? 1 : 2}`).join(" ");
  elementOf("mix-bar", HTMLDivElement).hidden = mixed.length < 2;
  elementOf("mix-words", HTMLSpanElement).textContent = mixed.length < 2 ? "" : `--sref ${codes}`;
  elementOf("mix", HTMLAnchorElement).href = promptWith(codes);
}

/** @param {HTMLInputElement} box */
function choose(box) {
  mixed = mixed.filter((one) => one !== box);
  if (box.checked) mixed.push(box);
  if (mixed.length > MOST) /** @type {HTMLInputElement} */ (mixed.shift()).checked = false;
  showMix();
}

/** @param {{folder: string} | {pictures: string[]}} what */
async function makeCode(what) {
  const place = elementOf("own-code", HTMLParagraphElement);
  place.textContent = t("Looking at the pictures …");
  try {
    const { code, words } = /** @type {{code: string, words: string}} */ (await sendJson("POST", "/api/wall/code", what));
    const link = Object.assign(document.createElement("a"), { href: promptWith(code), textContent: `--sref ${code}` });
    place.replaceChildren(link, ` ${words}`);
  } catch (error) {
    place.textContent = "";
    showError(error);
  }
}

function startWall() {
  const wall = document.getElementById("wall");
  wall?.addEventListener("click", ({ target }) => {
    const button = target instanceof Element && target.closest("[data-like]");
    if (button instanceof HTMLButtonElement) like(button);
  });
  wall?.addEventListener("change", ({ target }) => target instanceof HTMLInputElement && choose(target));
  elementOf("prompt", HTMLInputElement).addEventListener("input", () => {
    for (const link of document.querySelectorAll("[data-use]"))
      if (link instanceof HTMLAnchorElement) link.href = promptWith(link.closest("li")?.dataset.number ?? "");
    if (wall) showMix();
  });
  document.getElementById("mix-none")?.addEventListener("click", () => {
    for (const one of mixed) one.checked = false;
    mixed = [];
    showMix();
  });
  document.getElementById("own")?.addEventListener("submit", (event) => {
    event.preventDefault();
    makeCode({ folder: String(new FormData(/** @type {HTMLFormElement} */ (event.currentTarget)).get("folder")) });
  });
  const own = elementOf("own-pictures", HTMLButtonElement);
  own.hidden = false;
  own.addEventListener("click", async () => {
    const { pickPictures } = await import("./core/dialog.js");
    const chosen = await pickPictures(false);
    if (chosen.length) makeCode({ pictures: chosen.map(({ job, n }) => `${job} ${n}`) });
  });
}

startPage({ wall: startWall });
