// What a prompt can't do, told while it is typed: words that its model has never learned are underlined, flags without effect struck
// through, and what would be refused is said under the field.
import { nothing, render } from "../../vendor/lit-html/lit-html.js";
import { html, plainText, t } from "../core/text.js";

/** @import {Mark} from "../types.js" */

const PAUSE = 700; // ms of not typing before what is still being written counts
const MOST = 6; // words, and flags, that are named

export class Marks {
  /**
   * @param {HTMLTextAreaElement} field
   * @param {(text: string) => void} onTake  another prompt
   */
  constructor(field, onTake) {
    this.field = field;
    this.onTake = onTake;
    /** Lies over the field with the same words, of which only the lines are seen. */
    this.lines = Object.assign(document.createElement("div"), { className: "bar-marks", ariaHidden: "true" });
    this.told = Object.assign(document.createElement("div"), { className: "bar-told", role: "status" });
    const href = new URL("../../marks.css", import.meta.url).href; // no page but those where somebody writes needs it
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
    field.before(this.lines);
    field.form?.append(this.told);
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    field.addEventListener("input", () => this.#clear());
    field.addEventListener("scroll", () => (this.lines.scrollTop = field.scrollTop));
    new ResizeObserver(() => this.#place()).observe(field);
  }

  /**
   * @param {string} text  that was looked at
   * @param {Mark[]} marks
   * @param {string[]} draws  what the model has learned to draw
   */
  show(text, marks, draws) {
    if (this.field.value !== text) return;
    clearTimeout(this.timer);
    const settled = marks.filter((mark) => mark.end < text.trimEnd().length || (mark.kind === "word" && !mark.grows));
    this.#draw(text, settled, draws);
    if (settled.length < marks.length) this.timer = setTimeout(() => this.#draw(text, marks, draws), PAUSE);
  }

  /** @param {string} why  the prompt was refused: one sentence a line */
  refuse(why) {
    clearTimeout(this.timer);
    render(why.split("\n").map((line) => html`<p class="bad">${plainText(line)}</p>`), this.told);
  }

  /** The lines belong to other words now; what was said stays until something else is to be said. */
  #clear() {
    clearTimeout(this.timer);
    render(nothing, this.lines);
    if (!this.field.value.trim()) render(nothing, this.told);
  }

  #place() {
    const { offsetLeft, offsetTop, clientWidth, clientHeight, scrollTop } = this.field;
    Object.assign(this.lines.style, { left: `${offsetLeft}px`, top: `${offsetTop}px`, width: `${clientWidth}px`, height: `${clientHeight}px` });
    this.lines.scrollTop = scrollTop;
  }

  /** @param {string} text @param {Mark[]} marks @param {string[]} draws */
  #draw(text, marks, draws) {
    if (this.field.value !== text) return;
    const parts = [];
    let at = 0;
    for (const { begin, end, kind } of marks.filter((mark, index) => index === 0 || mark.begin >= (marks[index - 1]?.end ?? 0))) {
      parts.push(text.slice(at, begin), html`<mark class=${kind}>${text.slice(begin, end)}</mark>`);
      at = end;
    }
    render([...parts, text.slice(at), "\u200b"], this.lines);
    this.#place();
    render([this.#words(text, marks.filter(({ kind }) => kind === "word"), draws), marks.filter(({ kind }) => kind !== "word").slice(0, MOST).map(line)], this.told);
  }

  /** @param {string} text @param {Mark[]} words @param {string[]} draws */
  #words(text, words, draws) {
    const names = [...new Map(words.map((mark) => [mark.text.toLowerCase(), mark])).values()];
    const [first] = names;
    if (!first) return nothing;
    const press = (/** @type {Mark} */ mark, /** @type {string} */ word, /** @type {unknown} */ label) => html`<button type="button"
      title=${t("Write “{0}” for “{1}”", word, mark.text)} @click=${() => this.onTake(replaced(text, mark, word))}>${label}</button>`;
    const named = names.slice(0, MOST).map((mark, index) => html`${index ? ", " : ""}<b>${mark.text}</b>${mark.instead.map((word) => html` ${press(mark, word, `${word}?`)}`)}`);
    return html`<p>This model has never learned ${named}${names.length > MOST ? t(" and {0} more", names.length - MOST) : ""}.</p>
      ${draws.length ? html`<p>It draws ${draws.map((word) => html`${press(first, word, word)} `)}</p>` : nothing}`;
  }
}

/** A flag and why it does nothing. @param {Mark} mark */
function line({ kind, text, why }) {
  return kind === "fault" ? html`<p class="bad">${plainText(why)}</p>` : html`<p><s>${text}</s>: ${plainText(why)}</p>`;
}

/**
 * The text with another word in the place of one, and with its article.
 * @param {string} text
 * @param {Mark} mark
 * @param {string} word
 */
function replaced(text, { begin, end }, word) {
  const before = text.slice(0, begin).replace(/\b([Aa])n?(\s+)$/, `$1${/^[aeiou]/.test(word) ? "n" : ""}$2`);
  return before + word + text.slice(end);
}
