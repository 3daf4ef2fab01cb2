// Pictures that are given to the editor: dropped, pasted or chosen, as a layer or as a reference.
import { upload } from "../js/core/api.js";
import { complain, say } from "../js/core/toasts.js";

/** @import {Source} from "./document.js" */
/** @import {Editor} from "./editor.js" */

/** @typedef {"layer" | "reference"} As */

const OWN = /\/(?:pictures|files)\/([a-z2-9]{12})\/(\d{1,2})/; // a picture of the studio's
const MOST_REFERENCES = 10;

export class Intake {
  /** @param {Editor} editor @param {HTMLInputElement} field  where files are chosen */
  constructor(editor, field) {
    this.editor = editor;
    this.field = field;
    this.as = /** @type {As} */ ("layer");
    /** @type {Promise<unknown>} the server takes one upload of a person at a time */
    this.before = Promise.resolve();
    field.addEventListener("change", () => {
      this.files(field.files ?? [], this.as);
      field.value = "";
    });
    document.addEventListener("paste", (event) => {
      const files = event.clipboardData?.files ?? [];
      if (!files.length) return;
      event.preventDefault();
      this.files(files, document.activeElement?.id === "words" ? "reference" : "layer");
    });
  }

  /** Let somebody choose files. @param {As} as */
  choose(as) {
    this.as = as;
    this.field.click();
  }

  /** Take what is dropped on a place. @param {HTMLElement} place @param {As} as */
  listen(place, as) {
    const isOver = (/** @type {boolean} */ is) => place.classList.toggle("dropping", is);
    place.addEventListener("dragover", (event) => {
      event.preventDefault();
      isOver(true);
    });
    place.addEventListener("dragleave", () => isOver(false));
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      isOver(false);
      const at = as === "layer" ? this.editor.pointers.at(event) : undefined;
      const [, job, n] = OWN.exec(event.dataTransfer?.getData("text/uri-list") ?? "") ?? [];
      if (job && n) this.#take({ job, n: Number(n) }, `Picture ${n}`, as, at).catch(complain);
      else this.files(event.dataTransfer?.files ?? [], as, at);
    });
  }

  /** @param {Iterable<File>} files @param {As} as @param {{x: number, y: number}} [at]  where to lay them */
  files(files, as, at) {
    for (const file of files) {
      if (!file.type.startsWith("image/")) {
        complain(`${file.name} isn't a picture.`);
        continue;
      }
      say(`Sending ${file.name}`);
      this.before = this.before.then(() => upload(file, file.name)).then(({ sha256 }) => this.#take({ upload: sha256 }, file.name, as, at)).catch(complain);
    }
  }

  /** @param {Source} source @param {string} name @param {As} as @param {{x: number, y: number}} [at] */
  async #take(source, name, as, at) {
    const { editor } = this;
    const { references } = editor.state;
    if (as === "layer") await editor.add(source, name, at);
    else if (references.length >= MOST_REFERENCES) throw new Error(`There are ${MOST_REFERENCES} references already. Remove one first.`);
    else editor.change({ ...editor.state, references: [...references, { source, as: "style" }] });
    say(as === "layer" ? `${name} is a layer` : `${name} is a reference`);
  }
}
