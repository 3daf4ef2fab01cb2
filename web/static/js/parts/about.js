// What the words of the bar are about: a chip that names the picture they change, and what the studio will understand by them.
import { nothing, render } from "../../vendor/lit-html/lit-html.js";
import { fetchJson, sendJson, sendOnce } from "../core/api.js";
import { elementOf, icon } from "../core/page.js";
import { html, plainText, t } from "../core/text.js";

/** @import {Dialogue, Heard} from "../types.js" */
/** @import {Bar} from "./bar.js" */

const PAUSE = 250; // ms of not typing before the studio is asked what it understands

/** What words follow on from: a turn, or what no conversation has yet: a picture, or all those of a job by its id. @typedef {{label: string, name: string, thumb: string | null, turn?: string, picture?: string}} Chip */

export class About {
  /**
   * @param {Bar} bar
   * @param {(told: Dialogue) => void} onTold
   * @param {boolean} [always]  words begin a conversation where they follow on from nothing
   */
  constructor(bar, onTold, always = false) {
    this.bar = bar;
    this.onTold = onTold;
    this.always = always;
    this.place = elementOf("bar-about", HTMLElement);
    this.heard = elementOf("bar-heard", HTMLElement);
    /** @type {Chip | null} */
    this.chip = null;
    /** @type {AbortController | undefined} */
    this.asking = undefined;
    /** @type {number | null} which of the meanings that were offered is sent */
    this.offer = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    bar.field.addEventListener("input", () => this.typed());
    bar.field.setAttribute("aria-describedby", this.heard.id);
    this.place.replaceChildren(); // what the server drew
    this.show(null);
  }

  /** @param {Chip | null} chip */
  show(chip) {
    const before = this.chip;
    this.chip = chip;
    const on = chip !== null || this.always;
    this.bar.tell(on ? this : null);
    this.heard.hidden = !on;
    this.bar.field.placeholder = chip ? t("Change it, or ask") : t("What do you want to see?");
    render(chip ? drawChip(chip, () => this.leave()) : nothing, this.place);
    document.getElementById("bar-talk")?.setAttribute("aria-pressed", String(chip !== null));
    if (before?.turn !== chip?.turn || before?.picture !== chip?.picture) this.typed();
  }

  /** Let the next words be about a new picture. Returns whether they weren't already. */
  leave() {
    if (!this.chip) return false;
    this.show(null);
    this.bar.field.focus();
    return true;
  }

  /** The field has other words than before. */
  typed() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.#tell();
    const said = this.bar.field.value.trim();
    if (said && this.bar.about) this.timer = setTimeout(() => this.#hear(said), PAUSE);
  }

  /** @param {string} said */
  async #hear(said) {
    const asking = (this.asking = new AbortController());
    const sent = (await this.bar.attachments)?.all.length ?? 0;
    const body = JSON.stringify({ said, after: this.chip?.turn, picture: this.chip?.picture, sent });
    try {
      const options = { method: "POST", body, headers: { "Content-Type": "application/json" }, signal: asking.signal };
      const heard = /** @type {Heard} */ (await fetchJson("/api/talk/preview", options));
      if (this.bar.field.value.trim() === said) this.#tell(heard);
    } catch {
      // Typing goes on; what is wrong is said once it is sent.
    }
  }

  /** Tell what is understood, or ask what is meant. @param {Heard} [heard] */
  #tell(heard) {
    const send = (/** @type {number} */ n) => {
      this.offer = n;
      this.bar.form.requestSubmit();
    };
    const offers = heard?.offers.map((label, n) => html`<button class="button quiet small" type="button" @click=${() => send(n)}>${label}</button>`);
    render(heard ? html`<span>${plainText(heard.understood || heard.reply)}</span>${offers}` : nothing, this.heard);
  }

  /**
   * Say something to the studio. Returns whether it was taken; raises Problem.
   * @param {string} said
   * @param {string[]} pictures  names of those that go with it
   */
  async say(said, pictures) {
    const { turn, picture } = this.chip ?? {};
    const path = turn ? `/api/talk/${turn}` : "/api/talk";
    const body = { said, pictures: picture ? [picture, ...pictures] : pictures, ...(this.offer === null ? {} : { offer: this.offer }) };
    this.offer = null;
    const told = /** @type {Dialogue} */ (await sendOnce([path, body], (key) => sendJson("POST", path, { ...body, key })));
    clearTimeout(this.timer);
    this.asking?.abort();
    this.#tell();
    if (told.turn) this.onTold(told);
    else location.assign(told.href); // a question that is no turn
    return true;
  }
}

/**
 * @param {Chip} chip
 * @param {() => void} leave
 */
const drawChip = ({ label, name, thumb }, leave) => html`<button class="chip on-picture" type="button" aria-label="Words change ${name}. Press for a new picture instead" title="Words change ${name}" @click=${leave}>
  ${thumb ? html`<img src=${thumb} alt="" width="24" height="24">` : nothing}<span>on ${label}</span>${icon("close")}</button>`;
