// Pages of forms, and the little that scripts add to some of them.
import { nothing, render } from "../vendor/lit-html/lit-html.js";
import { copyKey, endSession, makeFolder, makeToken, makeWebhook, Problem, readSignIn, saveSettings, signIn, withCopies } from "./core/api.js";
import { currentTheme, elementOf, icon, lettersOn, pageData, sendForm, setLetters, setTheme, startPage, THEMES } from "./core/page.js";
import { canBeCalled, isCalled, setCalled } from "./push.js";
import { capitalized, html, plainText, showError, showToast, t, timeAgo } from "./core/text.js";

/** @import {TemplateResult} from "../vendor/lit-html/lit-html.js" */

// Settings are saved as they are changed; each says so, or what is wrong with it

function startSettings() {
  const form = elementOf("settings", HTMLFormElement);
  form.addEventListener("change", saveSetting);
  form.addEventListener("submit", (event) => event.preventDefault());
  showHere();
}

/** @param {Event} event */
async function saveSetting({ target }) {
  if (!(target instanceof HTMLInputElement || target instanceof HTMLSelectElement) || !target.reportValidity()) return;
  try {
    await saveSettings({ [target.name]: valueOf(target) });
    showToast(t("Saved"));
  } catch (error) {
    showError(error);
  }
}

/** @param {HTMLInputElement | HTMLSelectElement} field */
function valueOf(field) {
  if (field.type === "checkbox") return /** @type {HTMLInputElement} */ (field).checked;
  if (field.type === "number") return field.value === "" ? null : Number(field.value);
  return field.value;
}

/** Fill the section #here of a page: what holds for this browser alone. */
async function showHere() {
  const place = document.getElementById("here");
  if (!place) return;
  place.hidden = false;
  const { push = "", called = false } = /** @type {{push?: string, called?: boolean}} */ (pageData());
  const offersCalls = Boolean(push) && canBeCalled();
  const isOn = offersCalls && called && (await isCalled());
  const chooseCalls = async (/** @type {Event} */ event) => {
    const field = /** @type {HTMLInputElement} */ (event.target);
    field.disabled = true;
    try {
      await setCalled(field.checked, push);
      showToast(t("Saved"));
    } catch (error) {
      field.checked = !field.checked;
      showError(error);
    }
    field.disabled = false;
  };
  const chooseTheme = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLSelectElement} */ (event.target);
    setTheme(THEMES.find((one) => one === value) ?? "system");
  };
  const chooseLetters = (/** @type {Event} */ event) => setLetters(/** @type {HTMLInputElement} */ (event.target).checked);
  render(
    html`<h2>In this browser</h2>
      <div class="rows">
        <div class="row">
          <label for="here-theme">Theme</label>
          <select id="here-theme" @change=${chooseTheme}>${THEMES.map((one) => html`<option value=${one} ?selected=${one === currentTheme()}>${capitalized(one)}</option>`)}</select>
        </div>
        <div class="row">
          <div><label for="here-letters">Letters as shortcuts</label><p class="muted small">Off: only keys such as Escape and the arrows act outside of fields.</p></div>
          <input class="switch" type="checkbox" role="switch" id="here-letters" .checked=${lettersOn()} @change=${chooseLetters}>
        </div>
        ${offersCalls ? html`<div class="row">
          <div><label for="here-calls">Notify me when a job is ready</label><p class="muted small">Also while Atelier is closed, if the job took longer than ten seconds.</p></div>
          <input class="switch" type="checkbox" role="switch" id="here-calls" .checked=${isOn} @change=${chooseCalls}>
        </div>` : nothing}
      </div>`,
    place,
  );
}

// Where somebody is signed in: times as people say them, and an end to each without a new page

function startSessions() {
  const list = elementOf("sessions", HTMLElement);

  for (const time of list.querySelectorAll("time")) {
    time.title = time.dateTime;
    time.textContent = timeAgo(time.dateTime);
  }

  list.addEventListener("submit", async (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    const row = form.closest("li");
    if (row?.querySelector(".chip")) return; // this browser: the server signs it out
    event.preventDefault();
    try {
      await endSession(form.dataset.session ?? "");
      row?.remove();
      showToast(t("Session ended"));
    } catch (error) {
      showError(error);
    }
  });
}

/** The page of programs shows a new token or secret once, and copies it. */
function startPrograms() {
  for (const time of document.querySelectorAll("#tokens time, #webhooks time")) {
    if (!(time instanceof HTMLTimeElement)) continue;
    time.title = time.dateTime;
    time.textContent = timeAgo(time.dateTime);
  }
  onForm("new-token", async (said) => {
    const { token } = await makeToken({ name: String(said.get("name")), scopes: said.getAll("scopes").map(String), days: Number(said.get("days")) });
    showOnce("made-token", token, t("Copy this token now: it isn’t shown again."));
  });
  onForm("new-webhook", async (said) => {
    const [kind = "", id = ""] = String(said.get("of")).split(" ");
    const { secret } = await makeWebhook({ url: String(said.get("url")), events: said.getAll("events").map(String), [kind]: id });
    showOnce("made-webhook", secret, t("Copy this secret now: it isn’t shown again."));
  });
}

/**
 * @param {string} id
 * @param {(said: FormData) => Promise<void>} send
 */
function onForm(id, send) {
  const form = document.getElementById(id);
  if (!(form instanceof HTMLFormElement)) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await send(new FormData(form));
      form.reset();
    } catch (error) {
      showError(error);
    }
  });
}

/**
 * @param {string} id
 * @param {string} secret
 * @param {string} words
 */
function showOnce(id, secret, words) {
  const place = elementOf(id, HTMLElement);
  const copy = () => import("./core/jobs.js").then(({ copyText }) => copyText(secret, t("Text")), showError);
  place.hidden = false;
  render(
    html`<label class="stacked"><span>${words}</span><input type="text" readonly .value=${secret} spellcheck="false" @focus=${(/** @type {Event} */ event) => /** @type {HTMLInputElement} */ (event.target).select()}></label>
      <p class="job-actions"><button class="button" type="button" @click=${copy}>${icon("copy")}Copy</button> <button class="button quiet" type="button" @click=${() => location.reload()}>Done</button></p>`,
    place,
  );
  place.querySelector("input")?.focus();
}

/** The page of shares says times as people do, and copies links. */
function startShares() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!(button instanceof HTMLElement)) continue;
    button.hidden = false;
    button.addEventListener("click", () => import("./core/jobs.js").then(({ copyText }) => copyText(button.dataset.copy ?? "", t("Link")), showError));
  }
  for (const time of document.querySelectorAll("#shares time")) {
    if (!(time instanceof HTMLTimeElement)) continue;
    time.title = time.dateTime;
    const date = timeAgo(time.dateTime, Date.parse(time.dateTime) + 8 * 86_400_000);
    time.textContent = time.textContent.replace(time.dateTime.slice(0, 10), date);
  }
}

/** The page of folders makes a smart one of the filters in its form. */
function startFolders() {
  elementOf("smart", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const { name = "", ...filters } = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(/** @type {HTMLFormElement} */ (event.target))));
    makeFolder(name, new URLSearchParams(filters).toString()).then(({ href }) => location.assign(href), showError);
  });
}

/** The page of projects offers an example where there is none. */
function startProjects() {
  const button = document.getElementById("washers");
  if (!(button instanceof HTMLButtonElement)) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = t("Drawing them; stay on this page");
    try {
      const { makeWashers } = await import("../projects/washers.js");
      location.assign(await makeWashers());
    } catch (error) {
      button.disabled = false;
      button.textContent = t("Start with washers");
      showError(error);
    }
  });
}

/** The page of documents asks before one is deleted. */
function startDocuments() {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.dataset.name) return;
    event.preventDefault();
    const { askConfirmed } = await import("./core/dialog.js");
    if (await askConfirmed(t("Delete {0}?", form.dataset.name), t("The document is deleted; pictures made from it are kept."), "Delete", { bad: true })) {
      const [, id = ""] = /\/documents\/(\w+)$/.exec(form.dataset.send ?? "") ?? [];
      await withCopies("readwrite", (all) => all.delete(copyKey(id))).catch(() => {});
      sendForm(form);
    }
  });
}

// Signing in by a link: says whose it is first, and spends it only when the button is pressed; the address that the
// studio prints on its own machine stands for whoever sits there, and opens it at once

function startSignIn() {
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", location.pathname + location.search); // the token stays out of the history
    showPanel(html`<h1>Sign in</h1><p class="muted">Checking your link</p><progress aria-label="Checking your link"></progress>`);
    readSignIn(token).then(({ name, local }) => (local ? spendLink(token) : offerSignIn(name, token)), (error) => refuseSignIn(error, token)); // of one's own machine nobody asks
  }
  addEventListener("hashchange", () => location.hash && location.reload()); // a link that is opened on this very page
}

/** Where somebody wanted to go: a page of ours. */
function nextPage() {
  const wanted = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.href);
  return wanted.origin === location.origin && wanted.pathname !== "/in" ? wanted.href : "/";
}

/** @param {TemplateResult} content */
function showPanel(content) {
  const panel = elementOf("sign-in", HTMLElement);
  const brand = panel.querySelector(".brand");
  panel.replaceChildren(...(brand ? [brand] : []));
  const place = document.createElement("div");
  place.className = "panel-body";
  panel.append(place);
  render(content, place);
}

/** @param {string} token */
async function spendLink(token) {
  try {
    await signIn({ token });
    location.replace(nextPage());
  } catch (error) {
    refuseSignIn(error, token);
  }
}

/** @param {string} name @param {string} token */
function offerSignIn(name, token) {
  showPanel(html`<h1>Continue as ${name}</h1>
    <p class="muted">This browser can then see and make what ${name} can see and make.</p>
    <button class="button" type="button" @click=${() => spendLink(token)}>Continue as ${name}</button>
    <p class="muted small">Not you? Close this page. The link is used up only by the button.</p>`);
}

/** @param {unknown} error @param {string} token  which is as good as before where the studio couldn't look at it */
function refuseSignIn(error, token) {
  const isRefused = error instanceof Problem && error.status >= 400 && error.status < 500;
  showPanel(html`<h1>${isRefused ? t("This link doesn't work") : t("You can't sign in right now")}</h1>
    <div class="trouble">${icon("alert")}<p>${plainText(error instanceof Error ? error.message : String(error))}</p></div>
    ${isRefused ? nothing : html`<button class="button" type="button" @click=${() => spendLink(token)}>Try again</button>`}
    <p ?hidden=${!isRefused}>Type “/web” in Discord for a new one, or open the address that “make run” prints.</p>`);
}

startPage({ settings: startSettings, programs: startPrograms, keys: showHere, sessions: startSessions, "organise/folders": startFolders, "projects/projects": startProjects, "organise/shares": startShares, documents: startDocuments, in: startSignIn });
