// Suggestions under a text field: the field keeps the focus, the list follows its keys. With them comes what is marked in the field.
import { render } from "../../vendor/lit-html/lit-html.js";
import { html } from "../core/text.js";
import { readSuggestions } from "../core/api.js";
import { Marks } from "./marks.js";

/** @import {Suggestion} from "../types.js" */

const PAUSE = 120; // ms of not typing before the server is asked

export class Completion {
  /**
   * @param {HTMLTextAreaElement} field
   * @param {HTMLElement} list  with role=listbox
   * @param {(text: string) => void} onTake
   */
  constructor(field, list, onTake) {
    this.field = field;
    this.list = list;
    this.onTake = onTake;
    /** @type {Suggestion[]} */
    this.found = [];
    /** Which one is marked; -1 = none yet, so that Enter still sends. */
    this.at = -1;
    /** @type {AbortController | undefined} */
    this.asking = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.rests = false; // the words are no prompt
    this.marks = new Marks(field, onTake);
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", list.id);
    field.setAttribute("aria-haspopup", "listbox");
    field.addEventListener("input", () => this.typed());
    field.addEventListener("blur", () => this.close());
  }

  get isOpen() {
    return this.found.length > 0;
  }

  close() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.#show([]);
  }

  /**
   * Act on a key of the field. Returns whether the key was ours.
   * @param {KeyboardEvent} event
   */
  key(event) {
    if (event.isComposing) return false;
    if (!this.isOpen) return !this.rests && event.key === "ArrowDown" && !this.field.value && this.#recent(event);
    if (event.key === "ArrowDown") this.#mark(this.at + 1);
    else if (event.key === "ArrowUp") this.#mark(Math.max(this.at, 0) - 1);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Tab" && !event.shiftKey) this.#take(Math.max(this.at, 0));
    else if (event.key === "Enter" && !event.shiftKey && this.at >= 0) this.#take(this.at);
    else return false;
    event.preventDefault();
    return true;
  }

  /**
   * In an empty field ArrowDown offers recent prompts.
   * @param {KeyboardEvent} event
   */
  #recent(event) {
    event.preventDefault();
    this.#ask("");
    return true;
  }

  /** The field has other words than before. */
  typed() {
    clearTimeout(this.timer);
    this.asking?.abort();
    if (this.rests) return;
    const { value, selectionEnd } = this.field;
    const isAtEnd = selectionEnd === value.length;
    if (!value.trim() || !isAtEnd) this.#show([]);
    if (value.trim()) this.timer = setTimeout(() => this.#ask(value, isAtEnd), PAUSE);
  }

  /** Look at what stands in the field, without suggesting anything. */
  look() {
    this.close();
    this.marks.show("", [], []);
    if (this.field.value.trim() && !this.rests) this.#ask(this.field.value, false);
  }

  /**
   * @param {string} text
   * @param {boolean} [suggests]
   */
  async #ask(text, suggests = true) {
    this.asking = new AbortController();
    try {
      const { suggestions, marks, draws } = await readSuggestions(text, this.asking.signal);
      if (text) this.marks.show(text, marks, draws);
      if (suggests && this.field.value === text && document.activeElement === this.field) this.#show(suggestions.filter((one) => one.text !== text));
    } catch {
      // Typing goes on without suggestions.
    }
  }

  /** @param {number} index */
  #take(index) {
    const chosen = this.found[index];
    this.close();
    if (chosen) this.onTake(chosen.text);
  }

  /** @param {number} index */
  #mark(index) {
    this.at = (index + this.found.length) % this.found.length;
    this.#draw();
    this.list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }

  /** @param {Suggestion[]} found */
  #show(found) {
    this.found = found;
    this.at = -1;
    this.list.hidden = !found.length;
    this.#draw();
  }

  #draw() {
    const option = (/** @type {Suggestion} */ one, /** @type {number} */ index) => html`<li
      role="option" id="suggestion-${index}" aria-selected=${index === this.at}
      @pointerdown=${(/** @type {Event} */ event) => event.preventDefault()} @click=${() => this.#take(index)}>${label(one, this.field.value)}</li>`;
    render(this.found.map(option), this.list);
    if (this.at >= 0) this.field.setAttribute("aria-activedescendant", `suggestion-${this.at}`);
    else this.field.removeAttribute("aria-activedescendant");
  }
}

/**
 * A suggestion with what is typed already set back, and "--ar: what it does" in two columns.
 * @param {Suggestion} one
 * @param {string} typed
 */
function label({ label }, typed) {
  const [, flag, what] = /^(--\S+?):? +(.+)$/.exec(label) ?? [];
  if (flag && what) return html`<span>${flag}</span><span class="muted">${what}</span>`;
  return label.startsWith(typed) ? html`<span><span class="typed">${typed}</span>${label.slice(typed.length)}</span>` : html`<span>${label}</span>`;
}
