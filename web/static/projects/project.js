// The pages of a project: its pictures, its reports, its model asked about others, its settings.
import { render } from "../vendor/lit-html/lit-html.js";
import { sendJson } from "../js/core/api.js";
import { askBefore, elementOf, lettersOn, pageData, startPage, unhide } from "../js/core/page.js";
import { announce, html, showError, showToast, t } from "../js/core/text.js";
import { Intake } from "./intake.js";
import { startOpen, startTraining } from "./training.js";

/** @import {Item, Project} from "../js/types.js" */

/** The grid of pictures: arrows move, digits label what is ticked or has the focus, "a" ticks all. @param {Project} project */
function startGrid(project) {
  const list = /** @type {HTMLElement} */ (document.getElementById("items"));
  const boxes = () => /** @type {HTMLInputElement[]} */ ([...list.querySelectorAll("input")]);
  const ticked = () => boxes().filter((box) => box.checked);

  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = boxes();
    const at = all.indexOf(/** @type {HTMLInputElement} */ (event.target));
    const label = project.task !== "detect" && /^[1-9]$/.test(event.key) && project.labels[Number(event.key) - 1];
    if (label && lettersOn() && project.may.includes("label")) {
      const meant = ticked().length ? ticked() : at >= 0 ? all.slice(at, at + 1) : [];
      if (meant.length === 1) all[at + 1]?.focus();
      mark(project, meant, label.name).catch(showError);
    } else if (event.key === "a" && lettersOn()) {
      const on = ticked().length < all.length;
      for (const box of all) box.checked = on;
    } else if (!move(all, at, event.key)) return;
    event.preventDefault();
  };
  list.addEventListener("keydown", onKey);
  const form = elementOf("change", HTMLFormElement);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    change(project, form, ticked(), /** @type {HTMLButtonElement} */ (event.submitter).value);
  });
  if (project.task !== "detect" && project.labels.length && project.may.includes("label")) hint(project, list);
}

/**
 * Move the focus. Returns whether the key was one that moves.
 * @param {HTMLInputElement[]} all
 * @param {number} at
 * @param {string} key
 */
function move(all, at, key) {
  const top = (/** @type {HTMLElement | undefined} */ box) => Math.round(box?.closest("li")?.getBoundingClientRect().top ?? 0);
  const across = Math.max(1, all.filter((box) => top(box) === top(all[0])).length);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[key];
  if (step === undefined || at < 0) return false;
  all[at + step]?.focus();
  return true;
}

/**
 * @param {Project} project
 * @param {HTMLInputElement[]} boxes
 * @param {string} label
 */
async function mark(project, boxes, label) {
  for (const box of boxes) {
    const item = /** @type {Item} */ (await sendJson("POST", `/api/projects/${project.id}/marks`, { picture: pictureOf(box), label }));
    const cell = box.closest("li");
    if (!cell) continue;
    cell.dataset.state = item.state;
    const words = cell.querySelector(".item-label");
    if (words) words.textContent = item.said;
    box.ariaLabel = `${box.ariaLabel?.split(",")[0]}, ${item.said}`;
    box.checked = false;
  }
  if (boxes.length) announce(boxes.length === 1 ? label : t("{0} labelled {1}", boxes.length, label));
}

/** What is done with pictures that are ticked. @type {Record<string, [string, Record<string, boolean>]>} */
const CHANGES = { out: ["leave-out", { out: true }], in: ["leave-out", { out: false }], remove: ["remove", {}] };

/**
 * Label what is ticked, leave it out, take it in again or remove it.
 * @param {Project} project
 * @param {HTMLFormElement} form
 * @param {HTMLInputElement[]} boxes
 * @param {string} does  "label", or one of CHANGES
 */
async function change(project, form, boxes, does) {
  if (!boxes.length) return showToast(t("Choose one or more pictures first."), { bad: true });
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  try {
    const [path, more] = CHANGES[does] ?? [];
    if (path) await sendJson("POST", `/api/projects/${project.id}/${path}`, { pictures: boxes.map(pictureOf), ...more });
    else await mark(project, boxes, String(new FormData(form).get("label")));
    location.reload();
  } catch (error) {
    showError(error);
    form.ariaBusy = "false";
  }
}

/** @param {HTMLInputElement} box */
const pictureOf = (box) => box.name.slice(2);

/**
 * Say which key is which label.
 * @param {Project} project
 * @param {HTMLElement} list
 */
function hint(project, list) {
  const place = Object.assign(document.createElement("p"), { className: "muted small keys-hint" });
  render(html`${project.labels.slice(0, 9).map((label, index) => html`<kbd>${index + 1}</kbd> ${label.name} `)} · A digit labels what is ticked, or has the focus. Arrows move.`, place);
  list.before(place);
}

const { project } = /** @type {{project: Project}} */ (pageData());

function startPictures() {
  if (project.may.includes("add")) {
    unhide("add-own", "add-folder-place");
    new Intake(elementOf("add", HTMLFormElement), "add", `/api/projects/${project.id}/pictures`, { sends: "each", zips: true });
  }
  if (document.getElementById("items")) startGrid(project);
  startTraining(project);
}

function startReport() {
  if (!startTraining(project)) startOpen();
}

function startTry() {
  if (document.getElementById("try")) {
    unhide("try-own");
    new Intake(elementOf("try", HTMLFormElement), "try", `/api/projects/${project.id}/try`, { sends: "all", zips: false });
  }
  startOpen();
}

function startSettings() {
  if (document.getElementById("forget")) askBefore(elementOf("forget", HTMLFormElement), t("Delete {0}?", project.name), t("Its pictures, labels and versions are permanently deleted."), t("Delete the project"));
}

function startWatch() {
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-camera]"))) askBefore(form, t("Remove {0}?", form.dataset.camera ?? ""), t("Its pictures are permanently deleted; those with a label stay in the project."), t("Remove the camera"));
}

startPage({ "projects/project": startPictures, "projects/report": startReport, "projects/try": startTry, "projects/settings": startSettings, "projects/watch": startWatch });
