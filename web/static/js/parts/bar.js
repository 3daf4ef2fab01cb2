// The prompt bar: Enter sends, Shift+Enter makes a new line, arrows bring earlier prompts back; pictures are added, dropped or pasted.
import { Problem, keepField, keepHere, keptHere, readJobs } from "../core/api.js";
import { sendPrompt } from "../core/jobs.js";
import { droppedPicture, elementOf, takeChosen, takeDrops, unhide } from "../core/page.js";
import { showError, showToast, t, withFlag } from "../core/text.js";

/** @import {Job, Picture} from "../types.js" */
/** @import {About} from "./about.js" */
/** @import {Attachment, Attachments} from "./attachments.js" */
/** @import {Completion} from "./completion.js" */

/** Prompts of earlier: ArrowUp in an empty field brings the last one back, again the one before. */
export class History {
  /** @param {string[]} prompts  newest first */
  constructor(prompts) {
    this.prompts = [...new Set(prompts.filter(Boolean))];
    this.at = -1;
  }

  /** @param {string} prompt  that was just sent */
  add(prompt) {
    this.prompts = [prompt, ...this.prompts.filter((other) => other !== prompt)];
    this.at = -1;
  }

  /**
   * What the field shows after a key, or null when the key means nothing here: only an empty field, or one that
   * still shows an earlier prompt as it was, moves through them.
   * @param {string} text
   * @param {string} key
   */
  move(text, key) {
    if (text !== "" && text !== this.prompts[this.at]) this.at = -1;
    if (text !== "" && this.at < 0) return null;
    if (text === "") this.at = -1;
    const to = key === "ArrowUp" ? this.at + 1 : key === "ArrowDown" ? this.at - 1 : NaN;
    if (Number.isNaN(to) || to < -1 || to >= this.prompts.length || (to < 0 && this.at < 0)) return null;
    this.at = to;
    return this.prompts[to] ?? "";
  }
}

export class Bar {
  /**
   * @param {string[] | null} prompts  of earlier, newest first; null = read them when somebody asks for one
   * @param {(jobs: Job[]) => void} onSent
   */
  constructor(prompts, onSent) {
    this.form = elementOf("bar", HTMLFormElement);
    this.form.dataset.ready = ""; // early.js steps aside
    this.field = elementOf("bar-prompt", HTMLTextAreaElement);
    /** what to do with a video, where videos are made */
    this.to = /** @type {HTMLSelectElement | null} */ (document.getElementById("bar-do"));
    this.takesVideos = "clips" in this.form.dataset;
    this.onSent = onSent;
    this.history = new History(prompts ?? []);
    this.knowsEarlier = prompts !== null;
    /** @type {Promise<Attachments> | undefined} read with the first picture */
    this.attachments = undefined;
    /** @type {Completion | undefined} read when somebody begins to write */
    this.completion = undefined;
    /** @type {Promise<void> | undefined} */
    this.completing = undefined;
    this.sending = false;
    /** @type {About | null} whom the words are told, in place of the queue */
    this.about = null;
    this.keeps = this.form.dataset.keeps ?? "prompt"; // the name of what is typed, until it is sent
    this.#listen();
    const flags = elementOf("bar-flags", HTMLElement);
    flags.addEventListener("click", async () => (await import("./menu.js")).togglePanel(flags, this.field));
    unhide("bar-add", "bar-flags");
    this.field.required = false; // pictures alone may do
    if (this.field.value) this.put(this.field.value);
    keepField(this.field, this.keeps);
    const pictures = /** @type {Attachment[] | null} */ (keptHere("pictures"));
    if (pictures) this.#attach((all) => all.addKept(pictures));
  }

  #listen() {
    this.field.addEventListener("focus", () => this.#complete());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("paste", (event) => this.#take(event.clipboardData) && event.preventDefault());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    takeChosen(elementOf("bar-file", HTMLInputElement), (files) => this.#attach((all) => all.addFiles(files)));
    takeDrops(this.form, (data) => this.#take(data));
    if (!CSS.supports("field-sizing", "content")) this.field.addEventListener("input", () => this.#fit());
  }

  /** Suggest and mark, from the first time on that a prompt is written. */
  #complete() {
    if (this.about) return;
    this.completing ??= this.#readCompletion().catch(showError);
  }

  async #readCompletion() {
    const { value } = this.field;
    const { Completion } = await import("./completion.js");
    this.completion = new Completion(this.field, elementOf("bar-suggestions", HTMLElement), (text) => this.#took(text));
    this.completion.rests = this.about !== null;
    if (this.field.value !== value) this.completion.typed(); // meanwhile
    else if (value) this.completion.look();
  }

  /** Tell words to what a picture is about, or to the queue again. Prompts are suggested for the queue alone. @param {About | null} about */
  tell(about) {
    this.about = about;
    if (document.activeElement === this.field) this.#complete();
    if (!this.completion) return;
    this.completion.rests = about !== null;
    this.completion.marks.show(this.field.value, [], []);
    this.completion.look();
  }

  /** @param {(all: Attachments) => void} work */
  #attach(work) {
    this.attachments ??= import("./attachments.js").then(({ Attachments }) => {
      const all = new Attachments(elementOf("bar-pictures", HTMLElement), {
        videos: this.takesVideos ? "clip" : undefined,
        onChange: () => {
          this.to?.toggleAttribute("hidden", !all.all.some(({ video }) => video));
          keepHere("pictures", all.kept.length ? all.kept : null);
        },
      });
      return all;
    });
    this.attachments.then(work).catch(showError);
  }

  /**
   * Take what was dropped or pasted. Returns whether there was a picture in it.
   * @param {DataTransfer | null} data
   */
  #take(data) {
    const files = [...(data?.files ?? [])].filter((file) => file.type.startsWith("image/") || (this.takesVideos && file.type.startsWith("video/")));
    const own = droppedPicture(data);
    if (own) this.#attach((all) => all.addOwn(own.job, own.n));
    else if (files.length) this.#attach((all) => all.addFiles(files));
    return own !== null || files.length > 0;
  }

  /** Grow with the words, where the style sheet can't do it. */
  #fit() {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
  }

  /**
   * Show a prompt, ready to be changed.
   * @param {string} prompt
   */
  put(prompt) {
    this.field.value = prompt;
    keepHere(this.keeps, prompt || null);
    this.field.focus({ preventScroll: false });
    this.field.setSelectionRange(prompt.length, prompt.length);
    this.field.scrollTop = this.field.scrollHeight;
    this.completion?.look();
  }

  /**
   * A suggestion was taken. Behind a flag its values come next.
   * @param {string} text
   */
  #took(text) {
    this.put(/--[\w-]+$/.test(text) ? `${text} ` : text);
    this.field.dispatchEvent(new Event("input"));
  }

  /** @param {string} flag  without dashes */
  addFlag(flag) {
    const [name = flag, ...value] = flag.split(" ");
    this.put(withFlag(this.field.value, [name], value.join(" ")));
  }

  /**
   * @param {string} job
   * @param {Picture} picture
   */
  attach(job, picture) {
    this.#attach((all) => all.addOwn(job, picture.n, Boolean(picture.video)));
    this.field.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing || this.completion?.key(event)) return;
    if (event.key === "Escape") return this.about?.leave() ? event.preventDefault() : this.field.blur(); // then letters and arrows act on the page
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      return this.form.requestSubmit();
    }
    if (!this.knowsEarlier && event.key === "ArrowUp" && !this.field.value) return void this.#readEarlier();
    const earlier = this.history.move(this.field.value, event.key);
    if (earlier === null) return;
    event.preventDefault();
    this.put(earlier);
  }

  async #readEarlier() {
    this.knowsEarlier = true;
    try {
      this.history = new History((await readJobs()).filter(({ mine }) => mine).map(({ prompt }) => prompt));
      this.put(this.history.move(this.field.value, "ArrowUp") ?? this.field.value);
    } catch (error) {
      showError(error);
    }
  }

  async #send() {
    const typed = this.field.value;
    const attached = await this.attachments;
    const pictures = [...(attached?.all ?? [])];
    if (this.sending || (!typed.trim() && !pictures.length)) return;
    this.completion?.close();
    this.#busy(true);
    try {
      const hasVideo = pictures.some(({ video }) => video);
      const names = (await attached?.ids()) ?? [];
      const told = this.about && (await this.about.say(typed.trim(), names));
      const jobs = told ? [] : await sendPrompt(typed.trim(), names, hasVideo ? this.to?.value : "");
      if (jobs) this.#sent(typed, pictures, jobs);
    } catch (error) {
      const press = { label: t("Bring it back"), work: () => this.put(typed) };
      if (this.field.value === typed && error instanceof Problem && error.status >= 400 && error.status < 500 && this.completion) this.completion.marks.refuse(error.message);
      else if (this.field.value === typed) showError(error);
      else showToast(error instanceof Error ? error.message : String(error), { bad: true, press }); // others stand there now
    }
    this.#busy(false);
    this.field.focus();
  }

  /**
   * Take away what was sent, and leave what was typed or added meanwhile.
   * @param {string} typed
   * @param {Attachment[]} pictures
   * @param {Job[]} jobs
   */
  #sent(typed, pictures, jobs) {
    this.history.add(typed.trim());
    this.attachments?.then((all) => all.remove(pictures));
    if (this.to) this.to.value = "";
    if (this.field.value === typed) {
      this.field.value = "";
      keepHere(this.keeps, null);
      this.completion?.look();
    }
    if (jobs.length) this.onSent(jobs);
  }

  /** @param {boolean} on */
  #busy(on) {
    this.sending = on;
    this.form.setAttribute("aria-busy", String(on));
  }
}
