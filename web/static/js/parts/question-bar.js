// The bar for a question: Enter sends, Shift+Enter makes a new line; pictures are added, dropped or pasted.
import { change, keepField, keepHere, once } from "../core/api.js";
import { element, takeDrops, unhide } from "../core/page.js";
import { complain, toast } from "../core/text.js";
import { Attachments } from "./attachments.js";

const OWN = /\/pictures\/([a-z0-9]+)\/(\d+)/; // the page of a picture of the studio's

export class QuestionBar {
  /**
   * @param {string} address  to which questions go
   * @param {boolean} [first]  a conversation begins here, which takes a picture
   */
  constructor(address, first = false) {
    this.address = address;
    this.first = first;
    this.form = element("talk-bar", HTMLFormElement);
    this.field = element("more-question", HTMLTextAreaElement);
    this.attached = new Attachments(element("more-pictures", HTMLElement), { films: "ask" });
    keepField(this.field, `question ${address}`);
    unhide("talk-bar", "more-add");
    this.#listen();
  }

  #listen() {
    const file = element("more-file", HTMLInputElement);
    file.addEventListener("change", () => {
      const files = [...(file.files ?? [])];
      file.value = "";
      this.attached.addFiles(files);
    });
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
    const [, job, n] = OWN.exec(data?.getData("text/uri-list") ?? "") ?? [];
    if (job && n) this.attached.addOwn(job, Number(n));
    else this.attached.addFiles(files);
    return Boolean(job) || files.length > 0;
  }

  async #send() {
    const question = this.field.value.trim();
    if (!question || this.form.ariaBusy === "true") return;
    if (this.first && !this.attached.all.length) {
      toast("Add the picture that you ask about: drop it, paste it, or press the picture beside the field.");
      return;
    }
    this.form.ariaBusy = "true";
    try {
      const wanted = element("more-answer", HTMLSelectElement).value;
      const asked = { question, answer: wanted, pictures: await this.attached.ids() };
      const { href } = /** @type {{href: string}} */ (await once([this.address, asked], (key) => change("POST", this.address, { ...asked, key })));
      keepHere(`question ${this.address}`, null);
      location.assign(href);
    } catch (error) {
      this.form.ariaBusy = "false";
      complain(error);
    }
  }
}
