// A conversation: its turns, their tree, the picture that words change with the changes behind it. Words go on from what is shown.
import { nothing, render } from "../vendor/lit-html/lit-html.js";
import { fetchJson, sendJson, sendOnce, untilAnswered } from "./core/api.js";
import { copyText, followNews, Jobs, stopJob, toggleFavourite } from "./core/jobs.js";
import { addShortcuts, elementOf, icon, oncePerFrame, pageData, Rows, SAVE, startPage, unhide } from "./core/page.js";
import { countOf, html, plainText, showError, t } from "./core/text.js";
import { About } from "./parts/about.js";
import { Bar } from "./parts/bar.js";
import { changesList } from "./parts/changes.js";
import { cellsOf, reading, stateTold } from "./parts/job-card.js";
import { drawMarkdown } from "./parts/markdown.js";

/** @import {LiveJob} from "./core/jobs.js" */
/** @import {Branch, Dialogue, Job, News, Picture, Said, Shown} from "./types.js" */

const OTHERS = 10; // pictures that somebody may have meant instead
const NEAR_END = 160; // px

class Page {
  /** @param {Dialogue & {meant: [string, string][]}} dialogue  meant: kinds of turns that somebody may have meant, and how they are called */
  constructor(dialogue) {
    /** @type {Dialogue} */
    this.told = dialogue;
    this.wanted = dialogue.turn; // the turn that was asked for last; it may be on its way
    this.reads = 0; // how many were begun
    this.shownRead = 0; // which of them is shown
    this.meant = dialogue.meant;
    this.turns = elementOf("turns", HTMLElement);
    this.tree = elementOf("tree-place", HTMLElement);
    this.side = elementOf("shown-place", HTMLElement);
    this.log = elementOf("log", HTMLElement);
    /** @type {Set<string>} turns whose outcome was said to screen readers, or was there before */
    this.spoken = new Set(dialogue.path.filter((turn) => isOver(turn)).map(({ id }) => id));
    /** @type {Set<string>} jobs of which the studio has told that they changed, while this page was open */
    this.changed = new Set();
    this.jobs = new Jobs(dialogue.path.flatMap(({ job }) => (job ? [job] : [])), oncePerFrame(() => this.draw()), ({ id }) => this.told.path.some(({ job }) => job?.id === id));
    this.bar = new Bar(dialogue.path.map(({ said }) => said).toReversed(), () => {});
    this.about = new About(this.bar, (told) => this.go(told), true);
    for (const place of [this.turns, this.tree, this.side]) place.replaceChildren();
    /** @type {Rows<Said>} */
    this.rows = new Rows(this.turns, ({ id }) => id, (turn) => this.#turn(turn));
    this.tools = {
      favourite: (/** @type {LiveJob} */ job, /** @type {Picture} */ picture) => toggleFavourite(job.id, picture, () => this.jobs.onChange()),
      menu: (/** @type {Event} */ event, /** @type {LiveJob} */ job, /** @type {Picture} */ picture) => this.#menu(event, job, picture),
    };
    this.tree.addEventListener("keydown", (event) => this.#treeKey(event));
    unhide("bar-talk");
    elementOf("bar-talk", HTMLElement).addEventListener("click", () => this.about.leave() || this.#follow(true));
    addEventListener("popstate", () => this.#read(location.pathname.split("/").at(-1) ?? "").catch(showError));
    followNews((news) => this.#take(news).catch(showError));
    this.#follow();
    this.draw();
  }

  /** Stand at a turn. @param {Dialogue} told */
  go(told) {
    if (told.href !== location.pathname) history.pushState(null, "", told.href);
    const { turn: last, path: before } = this.told;
    this.told = told;
    this.wanted = told.turn;
    const known = new Set(before.map(({ job }) => job?.id));
    const late = told.path.some(({ job }) => job && !known.has(job.id) && this.changed.has(job.id));
    if (late) this.#read(told.turn).catch(showError); // that it changed was told before this came
    document.title = `${cut(told.title, 60)} · Atelier`;
    this.jobs.add(told.path.flatMap(({ job }) => (job ? [job] : [])));
    if (told.turn !== last || this.about.chip) this.#follow(); // who left the chip stays without
    this.draw();
    if (told.turn !== last) requestAnimationFrame(() => scrollTo({ top: document.documentElement.scrollHeight }));
  }

  /** Let words follow on from where the page stands. @param {boolean} [focus] */
  #follow(focus = false) {
    const { shown, turn } = this.told;
    const label = shown?.number ? String(shown.number) : shown ? t("this picture") : t("this conversation");
    const name = shown?.number ? t("picture {0}", shown.number) : label;
    const thumb = shown?.picture && shown.picture.visibility === "show" ? shown.picture.small : null;
    this.about.show({ label, name, thumb, turn });
    if (focus) this.bar.field.focus();
  }

  /** Read a turn and stand there, unless another was asked for meanwhile, or a later read is there. @param {string} turn */
  async #read(turn) {
    this.wanted = turn;
    this.reads += 1;
    const read = this.reads;
    try {
      const told = /** @type {Dialogue} */ (await untilAnswered(() => fetchJson(`/api/talk/${turn}`, {})));
      if (this.wanted !== turn || read < this.shownRead) return;
      this.shownRead = read;
      this.go(told);
    } catch (error) {
      if (this.wanted === turn) this.wanted = this.told.turn;
      throw error;
    }
  }

  /** @param {News} news */
  async #take(news) {
    for (const id of news.changed) this.changed.add(id);
    await this.jobs.take(news);
    const own = new Set(this.told.path.map(({ job }) => job?.id));
    const waits = this.told.path.some(({ job, waits }) => waits && !job);
    if (!news.complete || this.wanted !== this.told.turn || news.changed.some((id) => waits || own.has(id))) await this.#read(this.wanted);
  }

  /**
   * Ask for something that moves the conversation on.
   * @param {string} path  below the turn
   * @param {Record<string, unknown>} body
   */
  async act(path, body, turn = this.told.turn) {
    const address = `/api/talk/${turn}/${path}`;
    try {
      this.go(/** @type {Dialogue} */ (await sendOnce([address, body], (key) => sendJson("POST", address, { ...body, key }))));
    } catch (error) {
      showError(error);
    }
  }

  draw() {
    const follows = innerHeight + scrollY > document.documentElement.scrollHeight - NEAR_END;
    this.rows.draw(this.told.path);
    render(this.#branches(), this.tree);
    render(this.#shown(), this.side);
    this.#speak();
    if (follows) scrollTo({ top: document.documentElement.scrollHeight });
  }

  /** One sentence for each turn that is over, for screen readers. */
  #speak() {
    for (const turn of this.told.path) {
      const job = this.#jobOf(turn);
      if (this.spoken.has(turn.id) || !isOver({ ...turn, job })) continue;
      this.spoken.add(turn.id);
      this.log.append(Object.assign(document.createElement("p"), { textContent: plainText(sentence(turn, job)) }));
    }
  }

  /** @param {Said} turn @returns {LiveJob | null} */
  #jobOf({ job }) {
    return job && (this.jobs.byId.get(job.id) ?? job);
  }

  /** @param {Said} turn */
  #turn(turn) {
    const job = this.#jobOf(turn);
    const last = turn.id === this.told.turn;
    return html`<article class="turn" id="turn-${turn.id}" aria-label=${turn.said || turn.understood} aria-busy=${!isOver({ ...turn, job })}>
      <div class="asked">
        ${turn.sent.length ? html`<p class="asked-pictures">${turn.sent.map(({ number, thumbs }) => html`<span class="sent">${thumbs.map((thumb, n) => html`<img src=${thumb} alt="Picture ${number}${thumbs.length > 1 ? t(", {0} of {1}", n + 1, thumbs.length) : ""}" width="96" height="96">`)}${thumbs.length ? nothing : html`<span class="no-thumb">${icon("image")}</span>`}<span aria-hidden="true">${number}</span></span>`)}</p>` : nothing}
        ${turn.said ? html`<p class="question">${turn.said}</p>` : nothing}
      </div>
      <div class="answer">
        ${turn.understood ? html`<p class="understood">${plainText(turn.understood)}</p>` : nothing}
        ${turn.find ? html`<p><a class="button quiet small" href="/pictures?q=${encodeURIComponent(turn.find)}">${icon("search")}Show them</a></p>` : turn.reply ? html`<p class="said as-written">${plainText(turn.reply)}</p>` : nothing}
        ${turn.offers.length ? html`<div class="job-actions">${turn.offers.map((label, n) => html`<button class="button small ${n ? "quiet" : ""}" type="button" @click=${() => this.act("offer", { number: n }, turn.id)}>${label}</button>`)}</div>` : nothing}
        ${job ? this.#outcome(job) : turn.waits ? html`<p class="muted">It starts once the picture before it is there.</p>` : turn.gone ? html`<p class="muted">Its pictures were deleted.</p>` : turn.shows ? pictureOf(turn.shows, turn.said) : nothing}
        ${turn.mine ? this.#after(turn, job, last) : nothing}
        ${this.#next(turn)}
      </div>
    </article>`;
  }

  /** @param {LiveJob} job */
  #outcome(job) {
    return html`${cellsOf(job, this.tools)}
      ${job.answer ? html`<div class="said ${job.over ? "" : "growing"}" aria-busy=${!job.over}>${drawMarkdown(job.answer)}</div>` : nothing}
      ${reading(job, { use: (text) => this.bar.put(text) })}
      ${stateTold(job)}
      ${job.notes.map((note) => html`<p class="muted small">${plainText(note)}</p>`)}`;
  }

  /** What can be done with a turn. @param {Said} turn @param {LiveJob | null} job @param {boolean} last */
  #after(turn, job, last) {
    const several = job && job.pictures.length > 1 && !job.pictures[0]?.video ? job.pictures : [];
    const { shown } = this.told;
    return html`<div class="job-actions">
      ${several.map(({ n }) => html`<button class="button quiet small" type="button" aria-label="Continue with picture ${n}" aria-pressed=${shown?.job === job?.id && shown?.n === n} @click=${() => this.act("show", { job: job?.id, n })}>${n}</button>`)}
      ${job && !job.over ? html`<button class="button quiet small" type="button" @click=${() => stopJob(job)}>Cancel</button>` : nothing}
      ${job?.talk ? html`<a class="button quiet small" href=${job.talk}>About the answer</a>` : nothing}
      ${last ? nothing : html`<a class="button quiet small" href="/talk/${turn.id}" @click=${(/** @type {Event} */ event) => this.#open(event, turn.id)}>Continue from here</a>`}
      ${this.#meant(turn)}
    </div>`;
  }

  /** @param {Said} turn */
  #meant(turn) {
    const others = this.told.path.filter(({ number, id }) => number !== null && id !== turn.id).slice(-OTHERS);
    const choose = (/** @type {Event} */ event) => {
      const select = /** @type {HTMLSelectElement} */ (event.target);
      select.form?.querySelector("button")?.toggleAttribute("hidden", !select.value);
    };
    const send = (/** @type {Event} */ event) => {
      event.preventDefault();
      const form = /** @type {HTMLFormElement} */ (event.target);
      const chosen = String(new FormData(form).get("meant"));
      if (chosen) this.act("meant", /^\d+$/.test(chosen) ? { kind: turn.kind, about: Number(chosen) } : { kind: chosen }, turn.id);
    };
    return html`<form class="meant" @submit=${send}><select name="meant" aria-label="No, I meant" @change=${choose}>
        <option value="">No, I meant …</option>
        ${this.meant.filter(([kind]) => kind !== turn.kind).map(([kind, label]) => html`<option value=${kind}>${label}</option>`)}
        ${others.length ? html`<optgroup label="Another picture">${others.map(({ number, said }) => html`<option value=${String(number)}>${number}: ${cut(said, 40)}</option>`)}</optgroup>` : nothing}
      </select><button class="button quiet small" hidden>Do that instead</button></form>`;
  }

  /** What follows a turn but for the next of this way. @param {Said} turn */
  #next(turn) {
    const at = this.told.path.findIndex(({ id }) => id === turn.id);
    const next = this.told.path[at + 1]?.id;
    const others = this.told.tree.filter(({ before, id }) => before === turn.id && id !== next);
    if (!others.length) return nothing;
    const label = next ? t("Also said here") : t("What followed");
    return html`<nav class="branches" aria-label=${label}><h2 class="muted small">${label}</h2><ul>${others.map(({ id, said }) => html`<li><a href="/talk/${id}" @click=${(/** @type {Event} */ event) => this.#open(event, id)}>${cut(said, 100)}</a></li>`)}</ul></nav>`;
  }

  /** @param {Event} event @param {string} turn */
  #open(event, turn) {
    if (/** @type {MouseEvent} */ (event).ctrlKey || /** @type {MouseEvent} */ (event).metaKey) return;
    event.preventDefault();
    for (const open of document.querySelectorAll(".talk-side:popover-open")) /** @type {HTMLElement} */ (open).hidePopover();
    this.#read(turn).catch(showError);
  }

  #branches() {
    const onWay = new Set(this.told.path.map(({ id }) => id));
    return html`<ul role="tree" aria-label="Turns of the conversation">${this.told.tree.map((one) => html`<li role="none"><a role="treeitem" href="/talk/${one.id}" data-level=${Math.min(one.level, 6)} aria-level=${one.level}
      aria-selected=${one.id === this.told.turn} aria-current=${one.id === this.told.turn ? "page" : nothing} class=${onWay.has(one.id) ? "" : "aside"} tabindex=${one.id === this.told.turn ? 0 : -1}
      @click=${(/** @type {Event} */ event) => this.#open(event, one.id)}><span class="tree-number">${one.number ?? ""}</span><span class="tree-said">${cut(one.said, 80)}</span></a></li>`)}</ul>`;
  }

  /** Arrows move in the tree; Enter shows, as a link does. @param {KeyboardEvent} event */
  #treeKey(event) {
    const items = /** @type {HTMLElement[]} */ ([...this.tree.querySelectorAll("[role=treeitem]")]);
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const { tree } = this.told;
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      Home: 0,
      End: items.length - 1,
      ArrowLeft: tree.findIndex(({ id }) => id === tree[at]?.before),
      ArrowRight: tree.findIndex(({ before }) => before === tree[at]?.id),
    }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const next = items[to];
    if (!next) return;
    for (const item of items) item.tabIndex = item === next ? 0 : -1;
    next.focus();
  }

  #shown() {
    const { shown, changes, undo, redo } = this.told;
    if (!shown) return html`<p class="muted">The first picture appears here.</p>`;
    const step = (/** @type {number} */ steps, /** @type {string} */ label, /** @type {boolean} */ can) =>
      html`<button class="button quiet small" type="button" ?disabled=${!can} @click=${() => this.act("step", { steps })}>${icon(steps < 0 ? "undo" : "redo")}${label}</button>`;
    return html`<h2>${shown.number ? t("Picture {0}", shown.number) : t("The picture")}</h2>
      ${pictureOf(shown, changes.map(({ words }) => words).join("; "))}
      <div class="job-actions">${step(-1, t("Undo"), undo)}${step(1, t("Redo"), redo)}</div>
      ${shown.job ? changesList({ job: shown.job, n: shown.n }, changes, (told) => this.go(told)) : nothing}`;
  }

  /** @param {Event} event @param {LiveJob} job @param {Picture} picture */
  async #menu(event, job, picture) {
    const button = /** @type {HTMLElement} */ (event.currentTarget);
    const { openMenu } = await import("./parts/menu.js");
    const what = picture.video ? "video" : "picture";
    openMenu(button, t("Actions for {0} {1}", what, picture.n), [
      {
        name: t("Picture"),
        items: [
          { label: t("Continue with it"), icon: "words", work: () => this.act("show", { job: job.id, n: picture.n }) },
          { label: t("Open"), icon: "expand", href: picture.href },
          { label: SAVE, icon: "download", href: `${picture.video?.src ?? picture.original}?download=1`, download: true },
          ...(picture.seed === null ? [] : [{ label: t("Copy seed"), icon: "seed", work: () => copyText(String(picture.seed), t("Seed")) }]),
        ],
      },
    ]);
  }
}

/** @param {Pick<Said, "waits" | "job">} turn */
const isOver = ({ waits, job }) => (job ? job.over : !waits);

/** What a turn has become, in one sentence. @param {Said} turn @param {LiveJob | Job | null} job */
function sentence({ said, understood, reply }, job) {
  const what = job?.pictures[0]?.video ? "video" : "picture";
  const outcome = !job ? reply : job.error ?? (job.status === "cancelled" ? "Stopped." : job.answer || `${countOf(job.pictures.length, what)}.`);
  return [said && `${said}:`, understood, outcome].filter(Boolean).join(" ");
}

/** @param {Shown} shown @param {string} alt */
function pictureOf({ picture, comes }, alt) {
  if (!picture) return html`<p class="muted">${comes ? t("It is being made.") : t("The picture was deleted.")}</p>`;
  if (picture.visibility === "block") return html`<p class="muted">Hidden by a rule of this studio.</p>`;
  return html`<a class="shown ${picture.visibility === "spoiler" ? "veiled" : ""}" href=${picture.href}><img src=${picture.thumb} width=${picture.width ?? nothing} height=${picture.height ?? nothing} alt=${alt || picture.alt}></a>`;
}

/** @param {string} text @param {number} most  characters */
function cut(text, most) {
  const letters = [...text]; // an emoji is two of a string's own
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
}

function startDialogue() {
  const page = new Page(/** @type {Dialogue & {meant: [string, string][]}} */ (pageData()));
  page.bar.field.focus({ preventScroll: true });
  if (page.told.path.length > 1) requestAnimationFrame(() => scrollTo({ top: document.documentElement.scrollHeight }));
  addShortcuts({ Escape: () => page.about.leave() });
}

startPage({ dialogue: startDialogue });
