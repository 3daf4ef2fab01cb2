// Pictures that a phone has shared with the studio, and what can be done with them: nothing is sent before somebody says so.
import { fetchJson, keepHere, newKey, sendJson, sendOnce, upload } from "./core/api.js";
import { elementOf, goTo, startPage, takeChosen } from "./core/page.js";
import { countOf, showError, t } from "./core/text.js";

const SHARED = "shared"; // where the service worker has put them
const KINDS = /^image\//;
const MOST_SIDE = 4096; // px of a document

/** @returns {Promise<File[]>} */
async function readShared() {
  if (!globalThis.caches || !(await caches.has(SHARED))) return [];
  const shared = await caches.open(SHARED);
  const found = await Promise.all((await shared.keys()).map((request) => shared.match(request)));
  return Promise.all(
    found.filter((one) => one !== undefined).map(async (one) => {
      const { headers } = one;
      return new File([await one.blob()], decodeURIComponent(headers.get("X-Name") ?? "picture"), { type: headers.get("Content-Type") ?? "" });
    }),
  );
}

/** @typedef {{sha256: string, width: number, height: number}} Sent */

class Shared {
  constructor() {
    /** @type {File[]} */
    this.files = [];
    /** @type {Sent[]} those that are there, in the order of the files */
    this.sent = [];
    this.place = elementOf("shared", HTMLElement);
    this.ways = elementOf("ways", HTMLElement);
    this.state = elementOf("state", HTMLElement);
    const choose = elementOf("choose", HTMLLabelElement);
    choose.hidden = false;
    takeChosen(/** @type {HTMLInputElement} */ (choose.querySelector("input")), (files) => this.take(files));
    this.ways.addEventListener("click", ({ target }) => {
      const { way } = (target instanceof Element ? target.closest("button") : null)?.dataset ?? {};
      if (way) this.#go(() => this.#done(way));
    });
    document.getElementById("inspect")?.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation();
      const { value } = /** @type {HTMLSelectElement} */ (elementOf("inspect", HTMLFormElement).elements.namedItem("project"));
      this.#go(() => this.#inspect(value));
    });
  }

  /** @param {File[]} files */
  take(files) {
    for (const file of files.filter(({ type }) => KINDS.test(type))) {
      this.files.push(file);
      const place = document.createElement("li");
      place.append(Object.assign(new Image(), { alt: file.name, src: URL.createObjectURL(file) }));
      this.place.append(place);
    }
    this.ways.hidden = !this.files.length;
    elementOf("none", HTMLElement).hidden = this.files.length > 0;
  }

  /** Do something once at a time; when it is done, the phone's copies are forgotten. @param {() => Promise<string>} work  returns where to go on */
  async #go(work) {
    if (this.ways.ariaBusy === "true") return;
    this.ways.ariaBusy = "true";
    try {
      const next = await work();
      await globalThis.caches?.delete(SHARED);
      goTo(next);
    } catch (error) {
      showError(error);
    }
    this.state.textContent = "";
    this.ways.ariaBusy = "false";
  }

  async #upload() {
    for (const file of this.files.slice(this.sent.length)) {
      this.state.textContent = t("Sending {0} of {1}", this.sent.length + 1, countOf(this.files.length, "picture"));
      this.sent.push(await upload(file, file.name));
    }
    return this.sent;
  }

  /** @param {string} way */
  async #done(way) {
    const sent = await this.#upload();
    const attached = sent.map(({ sha256 }, n) => ({ name: this.files[n]?.name ?? "", there: sha256, video: false, thumb: `/files/uploads/${sha256}.webp` }));
    if (way === "draw" || way === "ask") {
      keepHere(way === "ask" ? "asked" : "pictures", attached);
      return way === "ask" ? "/ask" : "/#prompt";
    }
    const [first] = sent;
    if (way === "edit" && first) {
      const scale = Math.min(1, MOST_SIDE / first.width, MOST_SIDE / first.height);
      const layers = [{ id: "base", source: { upload: first.sha256 }, scale }];
      const document = { v: 1, width: Math.round(first.width * scale), height: Math.round(first.height * scale), layers };
      const { id } = /** @type {{id: string}} */ (await sendJson("POST", "/api/documents", { document }));
      return `/edit/d/${id}`;
    }
    for (const { sha256 } of sent) {
      const path = `/api/uploads/${sha256}/${way}`;
      await sendOnce([path], (key) => sendJson("POST", path, { key }));
    }
    return "/";
  }

  /** @param {string} project */
  async #inspect(project) {
    const body = new FormData();
    for (const file of this.files) body.append("files", file, file.name);
    body.set("key", newKey());
    return /** @type {{href: string}} */ (await fetchJson(`/api/projects/${project}/try`, { method: "POST", body })).href;
  }
}

function startShare() {
  const shared = new Shared();
  readShared().then((files) => shared.take(files), () => shared.take([]));
}

startPage({ share: startShare });
