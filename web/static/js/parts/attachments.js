// The pictures and videos that go with the next prompt: added, dropped or pasted, uploaded one after the other.
import { nothing, render } from "../../vendor/lit-html/lit-html.js";
import { upload, uploadClip, uploadVideo } from "../core/api.js";
import { icon } from "../core/page.js";
import { html, showError } from "../core/text.js";

const VIDEO = /^(video\/|image\/gif$)/;

/** `id`: what the server knows it by, `there` the same once it is there. `thumb`: "" as long as a video has none. */
/** @typedef {{thumb: string, name: string, id: Promise<string>, there: string, video: boolean}} Attachment */

/** How a video is uploaded: to be asked about, or to go on from. */
const TAKEN = {
  ask: async (/** @type {File} */ file) => {
    const { video, thumb } = await uploadVideo(file, file.name);
    return { id: video, thumb };
  },
  clip: async (/** @type {File} */ file) => {
    const { clip, thumb } = await uploadClip(file, file.name);
    return { id: clip, thumb };
  },
};

export class Attachments {
  /**
   * @param {HTMLElement} place
   * @param {{videos?: keyof typeof TAKEN, onChange?: () => void}} [takes]  videos: what they are taken for
   */
  constructor(place, { videos, onChange = () => {} } = {}) {
    this.place = place;
    this.videos = videos;
    this.onChange = onChange;
    /** @type {Attachment[]} */
    this.all = [];
    /** @type {Promise<unknown>} the server takes one upload of a person at a time */
    this.before = Promise.resolve();
  }

  /** @param {Iterable<File>} files */
  addFiles(files) {
    for (const file of files) {
      if (this.videos && (VIDEO.test(file.type) || /\.mkv$/i.test(file.name))) this.#addVideo(file, TAKEN[this.videos]);
      else if (file.type.startsWith("image/")) this.#addFile(file);
    }
  }

  /**
   * @param {File} file
   * @param {(file: File) => Promise<{id: string, thumb: string}>} send
   */
  #addVideo(file, send) {
    const taken = this.before.then(() => send(file));
    const one = { thumb: "", name: file.name, id: taken.then(({ id }) => id), there: "", video: true };
    this.before = one.id.catch(() => {});
    taken.then(({ thumb }) => (one.thumb = thumb)).catch(() => {});
    this.#add(one);
  }

  /** @param {File} file */
  #addFile(file) {
    const id = this.before.then(() => upload(file, file.name)).then(({ sha256 }) => sha256);
    this.before = id.catch(() => {});
    this.#add({ thumb: URL.createObjectURL(file), name: file.name, id, there: "", video: false });
  }

  /**
   * One of the studio's own pictures or videos.
   * @param {string} job
   * @param {number} n
   * @param {boolean} [video]
   */
  addOwn(job, n, video = false) {
    this.#add({ thumb: `/files/${job}/${n}/256.webp`, name: `${video ? "video" : "picture"} ${n}`, id: Promise.resolve(`${job} ${n}`), there: `${job} ${n}`, video });
  }

  /** Those that are there, to be added again when the page was left. */
  get kept() {
    return this.all.filter(({ there }) => there).map(({ thumb, ...one }) => ({ ...one, thumb: thumb.startsWith("blob:") ? `/files/uploads/${one.there}.webp` : thumb }));
  }

  /** @param {Attachment[]} kept */
  addKept(kept) {
    for (const one of kept) this.#add({ ...one, id: Promise.resolve(one.there) });
  }

  /** What the server knows them by. Waits for what is on its way; raises Problem when one isn't taken. */
  ids() {
    return Promise.all(this.all.map(({ id }) => id));
  }

  clear() {
    this.remove(this.all);
  }

  /** @param {Attachment[]} all */
  remove(all) {
    for (const one of [...all]) this.#remove(one);
  }

  /** @param {Attachment} one */
  #add(one) {
    this.all.push(one);
    this.#draw();
    one.id.then(
      (id) => {
        one.there = id;
        this.#draw();
      },
      (error) => {
        showError(error);
        this.#remove(one);
      },
    );
  }

  /** @param {Attachment} one */
  #remove(one) {
    this.all = this.all.filter((other) => other !== one);
    if (one.thumb.startsWith("blob:")) URL.revokeObjectURL(one.thumb);
    this.#draw();
  }

  #draw() {
    const box = (/** @type {Attachment} */ one) => html`<span class="attached">
      ${one.thumb ? html`<img src=${one.thumb} alt=${one.name}>` : html`<span class="sr">${one.name}</span>`}
      ${one.there ? nothing : html`<progress aria-label="Uploading ${one.name}"></progress>`}
      <button class="icon-button" type="button" aria-label="Remove ${one.name}" @click=${() => this.#remove(one)}>${icon("close")}</button>
    </span>`;
    render(this.all.length ? html`${this.all.map(box)}` : nothing, this.place);
    this.onChange();
  }
}
