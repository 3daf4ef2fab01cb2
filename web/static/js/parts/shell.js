// What every page has: the theme's button, the sandbox's other person, shortcuts to the pages.
import { change, signIn } from "../core/api.js";
import { forgetAll, keptHere, lastly, person } from "../core/kept.js";
import { shortcuts } from "../core/shortcuts.js";
import { setTheme, theme, THEMES } from "../core/theme.js";
import { complain } from "../core/toasts.js";

const ICONS = { system: "auto", light: "sun", dark: "moon" };
const LAST = 5000; // ms that signing out waits for what isn't sent
const PAGES = { c: "/", p: "/pictures", e: "/explore", a: "/ask", f: "/folders", d: "/documents", m: "/projects", q: "/queue", t: "/trash", s: "/settings" };

function themeButton() {
  const button = document.getElementById("theme");
  if (!button) return;
  const show = () => {
    const use = button.querySelector("use");
    use?.setAttribute("href", `${use.getAttribute("href")?.split("#")[0]}#${ICONS[theme()]}`);
    button.setAttribute("aria-label", `Theme: ${theme()}. Change it`);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length] ?? "system");
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
      complain(error);
    });
  });
}

/** What isn't sent yet goes, as far as it goes in a few seconds; then the page leaves. */
async function lastWords() {
  await Promise.race([Promise.allSettled(lastly.map((work) => work())), new Promise((done) => setTimeout(done, LAST))]);
  document.body.dataset.leaving = "";
}

/** Name whom the page was made for: another tab may have signed somebody else in. @param {SubmitEvent} event */
function sign({ target, defaultPrevented }) {
  const form = /** @type {HTMLFormElement} */ (target);
  if (defaultPrevented || form.method !== "post" || form.querySelector(":scope > [name=person]")) return;
  form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "person", value: person() }));
}

/** @param {SubmitEvent} event */
function onSubmit(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.dataset.send || event.defaultPrevented) return;
  event.preventDefault();
  sendForm(form);
}

/**
 * Say what a form says to where `data-send` names, such as "PATCH /api/folders/abc"; a name in braces is that field's value.
 * Then the page `data-then` follows, or else the one that is answered, or this one anew.
 * Who leaves with it keeps nothing in this browser; what isn't sent goes first.
 * @param {HTMLFormElement} form
 */
export async function sendForm(form) {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  const data = new FormData(form);
  const body = { ...Object.fromEntries(data), ...(data.has("pictures") && { pictures: data.getAll("pictures") }) };
  const [method = "", path = ""] = (form.dataset.send ?? "").replace(/\{(\w+)\}/, (_, name) => String(data.get(name))).split(" ");
  try {
    if ("leaves" in form.dataset) {
      await lastWords();
      await forgetAll();
    }
    const told = /** @type {{href?: string} | null} */ (await change(method, path, method === "DELETE" ? undefined : body));
    const next = form.dataset.then ?? told?.href;
    if (next) location.assign(next);
    else location.reload();
  } catch (error) {
    delete document.body.dataset.leaving;
    form.ariaBusy = "false";
    complain(error);
  }
}

/** @param {KeyboardEvent} event */
function toPrompt(event) {
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

export function startPage() {
  if (keptHere("outbox")) import("../core/outbox.js").then(({ outbox }) => outbox(), complain); // what the page before couldn't send
  document.addEventListener("change", unveil);
  document.cookie = `zone=${Intl.DateTimeFormat().resolvedOptions().timeZone}; path=/; max-age=31536000`;
  document.addEventListener("submit", sign);
  document.addEventListener("submit", onSubmit);
  themeButton();
  otherPerson();
  shortcuts({ "/": toPrompt, "?": () => location.assign("/keys") });
  for (const [key, href] of Object.entries(PAGES)) shortcuts({ [`g ${key}`]: () => location.assign(href) });
  if (location.hash === "#prompt") document.getElementById("bar-prompt")?.focus();
  document.body.dataset.started = "";
  dispatchEvent(new Event("started")); // what was sent before goes now
}
