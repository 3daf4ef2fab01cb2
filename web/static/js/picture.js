// One picture: what is known of it, what can be done with it, what comes before and after.
import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { Announcer, copyText, deleteJobForGood, followNews, pressAction, toggleFavourite } from "./core/jobs.js";
import { element, icon, pageData, shortcuts, startPage } from "./core/page.js";
import { complain } from "./core/text.js";
import { tellAway } from "./organise/note.js";
import { offerShare } from "./organise/share-offer.js";
import { openMenu } from "./parts/menu.js";
import { post } from "./parts/post.js";
import { commandOf } from "./viewer/command.js";
import { Compare } from "./viewer/compare.js";
import { around } from "./viewer/trail.js";

/** @import {Action, Job, Picture} from "./types.js" */

/** @typedef {{href: string, thumb: string, label: string}} Kin */

const { job, picture, parent, actions } = /** @type {{job: Job, picture: Picture, parent: Kin | null, actions: Action[]}} */ (pageData());
const stage = element("stage", HTMLElement);
const announcer = new Announcer();
const { before, after, back } = around(location.pathname, job.pictures.map(({ href }) => href));
const leave = back ?? (job.mine ? "/pictures" : "/explore");
const sink = { added: (/** @type {Job[]} */ jobs) => announcer.added(jobs), gone: () => location.replace(leave) };

/** The address of a picture's bytes, from that of its page. */
const bytesOf = (/** @type {string} */ href) => href.replace(/^\/pictures\//, "/files/");

/** @param {string | undefined} href */
function go(href) {
  if (href) location.replace(href); // so that Back leads to where the way began
}

function edges() {
  const edge = (/** @type {string | undefined} */ href, /** @type {string} */ look, /** @type {string} */ name, /** @type {string} */ label) =>
    href ? html`<button class="icon-button edge ${look}" type="button" aria-label=${label} title=${label} @click=${() => go(href)}>${icon(name)}</button>` : nothing;
  const place = document.createElement("div");
  place.className = "edges";
  stage.append(place);
  render(html`${edge(before, "before", "left", "Previous picture")}${edge(after, "after", "right", "Next picture")}`, place);
  for (const href of [after, before]) if (href) new Image().src = bytesOf(href);
}

function hearts() {
  const button = element("heart", HTMLButtonElement);
  const press = () => toggleFavourite(job.id, picture, () => button.setAttribute("aria-pressed", String(picture.favourite)));
  button.form?.addEventListener("submit", (event) => {
    event.preventDefault();
    press();
  });
  return press;
}

function comparing() {
  const others = job.pictures.filter(({ n, visibility }) => n !== picture.n && visibility === "show").map(({ n, original }) => ({ src: original, label: `Picture ${n}` }));
  if (parent) others.unshift({ src: bytesOf(parent.href), label: "Made from" });
  if (!others.length || picture.visibility === "block" || picture.film) return null;
  const place = element("tools", HTMLElement);
  const draw = (/** @type {boolean} */ on) =>
    render(html`<button class="icon-button" type="button" title="Compare" aria-label="Compare" aria-pressed=${on} @click=${() => compare.toggle()}>${icon("compare")}</button>`, place);
  const compare = new Compare(stage, others, draw);
  draw(false);
  return compare;
}

function copies() {
  const all = [
    { label: "Prompt", text: job.prompt },
    { label: "Seed", text: picture.seed === null ? "" : String(picture.seed) },
    { label: "Command", text: job.kind === "imagine" ? commandOf(job, picture.seed) : "" },
    { label: "Job id", text: job.id },
  ].filter(({ text }) => text);
  const items = all.map(({ label, text }) => ({ label, work: () => copyText(text, label) }));
  const place = document.createElement("span");
  element("copies", HTMLElement).append(place);
  const open = (/** @type {Event} */ event) => openMenu(/** @type {HTMLElement} */ (event.currentTarget), "Copy", [{ name: "Copy", items }]);
  render(html`<button class="button quiet small" type="button" aria-haspopup="menu" aria-expanded="false" @click=${open}>${icon("copy")}Copy</button>`, place);
}

function posting() {
  if (!job.mine || picture.visibility === "block") return;
  const place = document.createElement("span");
  element("copies", HTMLElement).append(place);
  render(html`<button class="button quiet small" type="button" aria-haspopup="dialog" @click=${() => post(job.id, picture.n)}>${icon("send")}Post</button>`, place);
}

async function trash() {
  if (!job.mine) return;
  const { putAwayAndLeave } = await import("./organise/away.js");
  await putAwayAndLeave({ job: job.id, n: picture.n }, () => location.replace(after ?? before ?? leave));
}

/** @param {SubmitEvent} event */
function onAction(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (form.action.endsWith("/delete")) {
    event.preventDefault();
    return void deleteJobForGood(job, sink);
  }
  const [, n, name] = /\/jobs\/[^/]+\/(\d+)\/(\w+)$/.exec(form.action) ?? [];
  const action = actions.find((one) => one.action === name);
  if (!action) return;
  event.preventDefault();
  const filled = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
  form.closest("details")?.removeAttribute("open");
  pressAction(job, Number(n), action, sink, filled);
}

function play() {
  const film = document.getElementById("picture");
  if (!(film instanceof HTMLVideoElement)) return;
  if (film.paused) film.play().catch(complain);
  else film.pause();
}

function download() {
  const link = document.querySelector(".about-head a[download]");
  if (link instanceof HTMLElement) link.click();
}

const close = element("close", HTMLAnchorElement);
close.href = leave;
edges();
copies();
posting();
const like = hearts();
const compare = comparing();
element("actions", HTMLElement).addEventListener("submit", onAction);
document.getElementById("away")?.addEventListener("submit", (event) => {
  event.preventDefault();
  trash();
});
followNews((news) => announcer.take(news).catch(complain));
startPage();
offerShare();
tellAway(() => {});
shortcuts({
  ArrowLeft: () => go(before),
  ArrowRight: () => go(after),
  l: like,
  c: () => compare?.toggle(),
  d: () => download(),
  p: () => copyText(job.prompt, "Prompt"),
  k: () => play(),
  Delete: trash,
  Escape: () => (compare?.on ? compare.toggle() : location.assign(leave)),
});
