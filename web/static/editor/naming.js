// The document's name, beside the tools: kept on the server, and no part of the document, so undo leaves it alone.
import { ask } from "../js/core/api.js";
import { plain } from "../js/core/text.js";
import { say } from "../js/core/toasts.js";

/** @import {Saving} from "./save.js" */

const UNSAVED = "The document couldn't be saved, so it has no name yet. Press Enter to try again.";

export class Naming {
  /**
   * @param {HTMLInputElement} field
   * @param {HTMLElement} problem  where to say what is wrong with a name
   * @param {Saving} saving
   * @param {() => void} leave  give the focus back to the canvas
   */
  constructor(field, problem, saving, leave) {
    this.field = field;
    this.problem = problem;
    this.saving = saving;
    this.name = field.value; // as the server has it
    /** @type {Promise<unknown>} one after the other */
    this.before = Promise.resolve();
    field.addEventListener("change", () => this.keep());
    field.addEventListener("keydown", async (event) => {
      if (event.key === "Escape") this.#reset();
      else if (event.key === "Enter" && !event.isComposing) await this.keep();
      else return;
      if (!this.isRefused) leave();
    });
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && saving.id !== null && this.keep());
  }

  get isRefused() {
    return this.problem.textContent !== "";
  }

  /** Go to the name, to type another. */
  edit() {
    this.field.focus();
    this.field.select();
  }

  /** Let the server have what is typed. */
  keep() {
    this.before = this.before.then(() => this.#keep()).catch((error) => this.#tell(error instanceof Error ? plain(error.message) : String(error)));
    return this.before;
  }

  async #keep() {
    const name = this.field.value.replace(/\s+/g, " ").trim();
    if (name !== this.name) {
      if (this.saving.id === null) await this.saving.save();
      if (this.saving.id === null) throw new Error(UNSAVED);
      const headers = { "Content-Type": "application/json" };
      await ask(`/api/documents/${this.saving.id}/name`, { method: "PUT", body: JSON.stringify({ name }), headers, keepalive: true }); // also when the page is gone
      this.name = name;
      say(name ? `The document is called ${name}` : "The document has no name");
      document.title = `Edit ${name || "a document"} · Atelier`;
    }
    if (this.field.value.replace(/\s+/g, " ").trim() === name) this.#reset(); // nothing was typed meanwhile
  }

  #reset() {
    this.field.value = this.name;
    this.#tell("");
  }

  /** @param {string} problem */
  #tell(problem) {
    this.problem.textContent = problem;
    this.field.setAttribute("aria-invalid", String(problem !== ""));
  }
}
