// Conversations about pictures: the page on which one begins, and the page of one, whose last answer grows and goes on.
import { nothing, render } from "../vendor/lit-html/lit-html.js";
import { cancelJob, fetchJson, keepField, keepHere, keptHere, sendJson, sendOnce, untilAnswered } from "./core/api.js";
import { followNews } from "./core/jobs.js";
import { droppedPicture, elementOf, icon, oncePerFrame, pageData, startPage, takeChosen, takeDrops, unhide } from "./core/page.js";
import { html, plainText, showError, showToast, t, timeAgo } from "./core/text.js";
import { Attachments } from "./parts/attachments.js";
import { drawMarkdown } from "./parts/markdown.js";

/** @import {News, Turn} from "./types.js" */
/** @import {Attachment} from "./parts/attachments.js" */

/** The bar for a question: Enter sends, Shift+Enter makes a new line; pictures are added, dropped or pasted. */
class QuestionBar {
  /**
   * @param {string} address  to which questions go
   * @param {boolean} [first]  a conversation begins here, which takes a picture
   */
  constructor(address, first = false) {
    this.address = address;
    this.first = first;
    this.form = elementOf("talk-bar", HTMLFormElement);
    this.field = elementOf("more-question", HTMLTextAreaElement);
    this.attached = new Attachments(elementOf("more-pictures", HTMLElement), { videos: "ask" });
    keepField(this.field, `question ${address}`);
    const shared = /** @type {Attachment[] | null} */ (first ? keptHere("asked") : null);
    if (shared) this.attached.addKept(shared);
    keepHere("asked", null);
    unhide("more-add");
    this.#listen();
  }

  #listen() {
    takeChosen(elementOf("more-file", HTMLInputElement), (files) => this.attached.addFiles(files));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    this.field.addEventListener("paste", (event) => this.#take(event.clipboardData) && event.preventDefault());
    takeDrops(this.form, (data) => this.#take(data));
  }

  /**
   * Take what was dropped or pasted. Returns whether there was a picture in it.
   * @param {DataTransfer | null} data
   */
  #take(data) {
    const files = [...(data?.files ?? [])].filter((file) => /^(image|video)\//.test(file.type));
    const own = droppedPicture(data);
    if (own) this.attached.addOwn(own.job, own.n);
    else this.attached.addFiles(files);
    return own !== null || files.length > 0;
  }

  async #send() {
    const question = this.field.value.trim();
    if (!question || this.form.ariaBusy === "true") return;
    if (this.first && !this.attached.all.length) {
      showToast(t("Add the picture that you ask about: drop it, paste it, or press the picture beside the field."));
      return;
    }
    this.form.ariaBusy = "true";
    try {
      const wanted = elementOf("more-answer", HTMLSelectElement).value;
      const asked = { question, answer: wanted, pictures: await this.attached.ids() };
      const { href } = /** @type {{href: string}} */ (await sendOnce([this.address, asked], (key) => sendJson("POST", this.address, { ...asked, key })));
      keepHere(`question ${this.address}`, null);
      location.assign(href);
    } catch (error) {
      this.form.ariaBusy = "false";
      showError(error);
    }
  }
}

const END = { stopped: t("Stopped here."), length: t("The answer reached the length limit; ask it to continue."), end: "" };

/**
 * @param {string | null} thumb
 * @param {number} n  from 0
 */
const picture = (thumb, n) =>
  thumb
    ? html`<img src=${thumb} alt="Picture ${n + 1}" width="96" height="96">`
    : html`<span class="no-thumb" title="A picture">${icon("image")}<span class="sr">A picture</span></span>`;

/** What is drawn of an answer, by its form. @type {Record<string, string>} */
const DRAWN = {
  table: t("The picture beside a chart drawn again from its numbers"),
  boxes: t("The picture with a box around each object"),
  text: t("The picture with a box around each line"),
};

/** @param {Turn} turn */
function said(turn) {
  if (turn.error) return html`<div class="trouble">${icon("alert")}<p>${plainText(turn.error)}</p></div>`;
  if (turn.cancelled) return html`<p class="muted">Stopped before the first word.</p>`;
  if (turn.table) return table(turn, turn.table);
  if (turn.boxes.length) return html`<ol class="found">${turn.boxes.map((label) => html`<li>${label || t("an object")}</li>`)}</ol>`;
  if (turn.said.some(({ href }) => href)) {
    return html`<p class="said">${turn.said.map(({ text, href }) => (href ? html`<a href=${href}>${text}</a>` : text))}</p>`;
  }
  if (turn.answer && ["table", "text"].includes(turn.form)) return html`<pre class="said block ${turn.over ? "" : "growing"}" tabindex="0" aria-label="Answer" aria-busy=${!turn.over}>${turn.answer}</pre>`;
  if (turn.answer) return html`<div class="said ${turn.over ? "" : "growing"}" aria-busy=${!turn.over}>${drawMarkdown(turn.answer)}</div>`;
  return html`<p class="muted" role="status">${turn.position ? t("Place {0} in the queue", turn.position) : t("Looking")} …</p>`;
}

/**
 * @param {Turn} turn
 * @param {{title: string, columns: string[], rows: string[][], numbers: boolean[]}} found
 */
function table(turn, { title, columns, rows, numbers }) {
  const kind = (/** @type {number} */ n) => (numbers[n] ? "number" : "");
  return html`<div class="table" tabindex="0" role="region" aria-label=${title || t("Table")}><table>
      ${title ? html`<caption>${title}</caption>` : nothing}
      <thead><tr>${columns.map((name, n) => html`<th scope="col" class=${kind(n)}>${name}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${row.map((cell, n) => (n ? html`<td class=${kind(n)}>${cell}</td>` : html`<th scope="row">${cell}</th>`))}</tr>`)}</tbody>
    </table></div>
    <p class="job-actions"><a class="button quiet small" href="/files/${turn.id}/table.csv" download>CSV</a><a class="button quiet small" href="/files/${turn.id}/table.json" download>JSON</a></p>`;
}

/** @param {Turn} turn */
function drawing({ form, drawing: drawn }) {
  if (!drawn) return nothing;
  const shown = drawn.visibility === "show" ? drawn.original : drawn.thumb;
  return html`<a class="drawing" href=${drawn.original}><img src=${shown} width=${drawn.width} height=${drawn.height} alt=${DRAWN[form] ?? t("The picture")} loading="lazy"></a>`;
}

/** @param {Turn} turn @param {string} here  the question that the page is about */
function actions(turn, here) {
  if (!turn.over) return html`<div class="job-actions"><button class="button quiet small" type="button" @click=${() => cancelJob(turn.id).catch(showError)}>Stop</button></div>`;
  return html`<div class="job-actions">
    <button class="button quiet small" type="button" @click=${() => again(turn)}>Other words</button>
    ${turn.draws ? html`<a class="button quiet small" href="/?from=${turn.id}">Imagine this</a>` : nothing}
    ${turn.id === here ? nothing : html`<a class="button quiet small" href="/talk/${turn.id}">Continue from here</a>`}
  </div>`;
}

/** @param {Turn} turn */
function saw(turn) {
  const [tokens, cached, out] = turn.tokens;
  if (tokens === undefined) return nothing;
  const sizes = turn.seen.length ? `${turn.seen.join(", ")} px` : t("No picture");
  return html`<details class="saw"><summary class="muted small">What the model saw</summary>
    <p class="muted small">${sizes} · ${tokens} tokens in, ${cached} of them known from before, ${out} out</p></details>`;
}

/**
 * The frames of a question's video that were looked at.
 * @param {Turn} turn
 */
function strip({ id, frames }) {
  if (!frames.length) return nothing;
  return html`<ol class="strip" aria-label="Frames of the video that the model saw">${frames.map(
    ({ src, label, named }, i) => html`<li id="frame-${id}-${i + 1}" class=${named ? "named" : ""}>
      <img src=${src} alt="The video at ${label}" loading="lazy"><span>${label}</span></li>`,
  )}</ol>`;
}

/** @param {Turn} turn @param {string} here */
function branches(turn, here) {
  if (!turn.branches.length) return nothing;
  const label = turn.id === here ? t("What followed") : t("Also asked here");
  const links = turn.branches.map(({ href, question }) => html`<li><a href=${href}>${cut(question)}</a></li>`);
  return html`<nav class="branches" aria-label=${label}><h2 class="muted small">${label}</h2><ul>${links}</ul></nav>`;
}

/** @param {string} text */
function cut(text) {
  const letters = [...text]; // an emoji is two of a string's own
  return letters.length > 100 ? `${letters.slice(0, 97).join("")}…` : text;
}

/** @param {Turn} turn @param {string} here */
const drawTurn = (turn, here) => html`<article class="turn" id="turn-${turn.id}" aria-label=${turn.question}>
  <div class="asked">
    ${turn.pictures.length ? html`<p class="asked-pictures">${turn.pictures.map(picture)}</p>` : nothing}
    <p class="question">${turn.question}</p>
  </div>
  ${strip(turn)}
  <div class="answer">${said(turn)} ${drawing(turn)}
    ${turn.notes.map((note) => html`<p class="muted small">${plainText(note)}</p>`)}
    ${turn.ended && END[turn.ended] ? html`<p class="muted small">${END[turn.ended]}</p>` : nothing}
    ${actions(turn, here)} ${saw(turn)} ${branches(turn, here)}
  </div>
</article>`;

/** @param {Turn} turn */
async function again(turn) {
  try {
    const { jobs } = /** @type {{jobs: {id: string}[]}} */ (await sendOnce([turn.id, "again"], (key) => sendJson("POST", `/api/jobs/${turn.id}/1/again`, { key })));
    location.assign(`/talk/${jobs[0]?.id}`);
  } catch (error) {
    showError(error);
  }
}

function startTalk() {
  const page = /** @type {{job: string, turns: Turn[]}} */ (pageData());
  const place = elementOf("turns", HTMLElement);
  const draw = oncePerFrame(() => {
    const follows = innerHeight + scrollY > document.documentElement.scrollHeight - 160;
    render(html`${page.turns.map((turn) => drawTurn(turn, page.job))}`, place);
    if (follows) scrollTo({ top: document.documentElement.scrollHeight });
  });

  async function readAgain() {
    page.turns = /** @type {{turns: Turn[]}} */ (await untilAnswered(() => fetchJson(`/api/talk/${page.job}`, {}))).turns;
    draw();
  }

  /** @param {News} news */
  function take(news) {
    for (const state of news.jobs) {
      const turn = page.turns.find(({ id }) => id === state.id);
      if (!turn || turn.over) continue;
      if (state.state === "progress") turn.answer = state.text ?? turn.answer;
      turn.position = state.state === "queued" ? (state.position ?? null) : null;
    }
    draw();
    const shown = new Set(page.turns.map(({ id }) => id));
    if (!news.complete || news.changed.some((id) => shown.has(id))) readAgain().catch(showError);
  }
  new QuestionBar(`/api/talk/${page.job}`);
  place.replaceChildren();
  draw();
  followNews(take);
  if (page.turns.length > 1) requestAnimationFrame(() => scrollTo({ top: document.documentElement.scrollHeight }));
}

function startAsk() {
  if (document.getElementById("talk-bar")) new QuestionBar("/api/talk", true).field.focus({ preventScroll: true });
  for (const time of document.querySelectorAll("time")) time.textContent = timeAgo(time.dateTime);
}

startPage({ talk: startTalk, ask: startAsk });
