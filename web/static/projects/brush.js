// A brush on a picture that is labelled: what is painted goes with the label, in the picture's own pixels.
import { nothing } from "../vendor/lit-html/lit-html.js";
import { icon } from "../js/core/page.js";
import { announce, html, t } from "../js/core/text.js";
import { encodePng, Mask } from "../editor/mask.js";

/** @typedef {[number, number]} Point  in ⅛ px of the picture */
/** @typedef {{value: 0 | 1, radius: number, points: Point[], boxes?: [number, number, number, number][]}} Stroke  radius in ⅛ px; boxes in px, filled */
/** @typedef {{base: Uint8Array | null, strokes: Stroke[]}} Painted */
/** @typedef {"box" | "paint" | "erase"} Tool */

const SIZES = [0.01, 0.02, 0.04, 0.08, 0.16]; // of the longer side
const [LEAST, MOST] = [16, 4096]; // px of a side that masks have
const COLOUR = [255, 111, 60]; // over the picture, half transparent

export class Brush {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    /** @type {Tool} */
    this.tool = "box";
    this.size = 2; // of SIZES
    /** @type {Mask | null} of the picture that is shown */
    this.mask = null;
    /** @type {Uint8Array | null} what was painted on it before */
    this.base = null;
    /** @type {Stroke[]} */
    this.strokes = [];
    /** @type {HTMLCanvasElement | null} */
    this.canvas = null;
    this.picture = "";
  }

  /** Whether something is painted. */
  get isPainted() {
    return Boolean(this.mask?.bits.includes(1));
  }

  /** @returns {Painted} what there is, to be taken up again */
  get state() {
    return { base: this.base, strokes: this.strokes };
  }

  /**
   * Take up what was painted. The picture that it is on is drawn next.
   * @param {Painted} state
   */
  take({ base, strokes }) {
    this.base = base;
    this.strokes = strokes;
    this.mask = null;
    this.picture = "";
  }

  /**
   * Show the picture's mask over it, and let the pointer paint.
   * @param {HTMLElement} frame
   * @param {string} picture  its id
   * @param {string | null} painted  where what was painted on it is, null for nothing
   */
  draw(frame, picture, painted) {
    const image = /** @type {HTMLImageElement} */ (frame.querySelector("img"));
    if (!frame.querySelector("canvas")) {
      this.canvas = Object.assign(document.createElement("canvas"), { className: "desk-mask" });
      this.canvas.ariaHidden = "true";
      image.after(this.canvas);
    }
    frame.classList.toggle("painting", this.tool !== "box");
    if (this.picture === picture) return;
    this.picture = picture;
    const ready = async () => {
      await image.decode();
      const before = painted && !this.base && !this.strokes.length ? await bitsOf(painted, image.naturalWidth, image.naturalHeight) : this.base;
      if (this.picture !== picture) return; // another one is shown by now
      this.base = before;
      this.#begin(image.naturalWidth, image.naturalHeight);
    };
    ready().catch(() => {}); // a picture that isn't there says so itself
  }

  /** @param {number} width @param {number} height */
  #begin(width, height) {
    if (Math.max(width, height) > MOST || Math.min(width, height) < LEAST || !this.canvas) return;
    this.mask = new Mask(width, height);
    Object.assign(this.canvas, { width, height });
    this.#replay();
    this.onChange();
  }

  #replay() {
    if (!this.mask) return;
    if (this.base) this.mask.bits.set(this.base);
    else this.mask.bits.fill(0);
    for (const stroke of this.strokes) this.#paint(stroke);
    this.#show();
  }

  /** @param {Stroke} stroke */
  #paint({ value, radius, points, boxes }) {
    for (const box of boxes ?? []) this.mask?.rect(box, value);
    points.forEach(([x, y], at) => {
      const [x0, y0] = points[at - 1] ?? [x, y];
      this.mask?.capsule(x0, y0, x, y, radius, value);
    });
  }

  #show() {
    const { mask, canvas } = this;
    const context = canvas?.getContext("2d");
    if (!mask || !canvas || !context) return;
    const pixels = context.createImageData(mask.width, mask.height);
    for (let at = 0; at < mask.bits.length; at++) if (mask.bits[at]) pixels.data.set([...COLOUR, 150], at * 4);
    context.putImageData(pixels, 0, 0);
  }

  /** Paint or erase, or drag boxes again. @param {Tool} tool */
  choose(tool) {
    this.tool = this.tool === tool ? "box" : tool;
    announce({ box: t("Boxes"), paint: t("Brush"), erase: t("Eraser") }[this.tool]);
    this.onChange();
  }

  /** @param {1 | -1} by */
  resize(by) {
    this.size = Math.min(SIZES.length - 1, Math.max(0, this.size + by));
    announce(t("Size {0} of {1}", this.size + 1, SIZES.length));
    this.onChange();
  }

  undo() {
    if (!this.strokes.length) return;
    this.strokes = this.strokes.slice(0, -1);
    this.#replay();
    announce(t("Stroke undone"));
    this.onChange();
  }

  clear() {
    this.base = null;
    this.strokes = [];
    this.#replay();
    this.onChange();
  }

  /**
   * Fill boxes: a mask by keys alone. Returns whether there is a mask to fill.
   * @param {[number, number, number, number][]} boxes  in 0 to 1 of the sides
   */
  fill(boxes) {
    const { mask } = this;
    if (!mask || !boxes.length) return false;
    const px = boxes.map(([left, top, right, bottom]) => /** @type {[number, number, number, number]} */ ([Math.round(left * mask.width), Math.round(top * mask.height), Math.round(right * mask.width), Math.round(bottom * mask.height)]));
    this.#keep({ value: 1, radius: 0, points: [], boxes: px });
    return true;
  }

  /** @param {Stroke} stroke */
  #keep(stroke) {
    this.strokes = [...this.strokes, stroke];
    this.#paint(stroke);
    this.#show();
    this.onChange();
  }

  /**
   * Paint as the pointer goes. Returns whether the press is the brush's.
   * @param {HTMLElement} frame
   * @param {PointerEvent} event
   */
  press(frame, event) {
    const { mask } = this;
    if (this.tool === "box" || !mask || event.button) return false;
    event.preventDefault();
    frame.setPointerCapture(event.pointerId);
    const radius = Math.max(6, Math.round((SIZES[this.size] ?? 0.04) * Math.max(mask.width, mask.height) * 4));
    /** @type {Stroke} */
    const stroke = { value: this.tool === "paint" ? 1 : 0, radius, points: [] };
    const add = (/** @type {PointerEvent} */ { clientX, clientY }) => {
      const around = frame.getBoundingClientRect();
      /** @type {Point} */
      const point = [Math.round(((clientX - around.left) / around.width) * mask.width * 8), Math.round(((clientY - around.top) / around.height) * mask.height * 8)];
      stroke.points.push(point);
      this.#preview(stroke);
    };
    const end = () => {
      frame.removeEventListener("pointermove", add);
      this.#keep(stroke);
    };
    add(event);
    frame.addEventListener("pointermove", add);
    frame.addEventListener("pointerup", end, { once: true });
    frame.addEventListener("pointercancel", end, { once: true });
    return true;
  }

  /** The newest part of a stroke, at once; its very pixels come when it ends. @param {Stroke} stroke */
  #preview({ value, radius, points }) {
    const context = this.canvas?.getContext("2d");
    const [x = 0, y = 0] = points[points.length - 1] ?? [];
    const [x0 = x, y0 = y] = points[points.length - 2] ?? [];
    if (!context) return;
    context.globalCompositeOperation = value ? "source-over" : "destination-out";
    Object.assign(context, { lineCap: "round", lineWidth: radius / 4, strokeStyle: `rgb(${COLOUR.join(" ")} / 60%)` });
    context.beginPath();
    context.moveTo(x0 / 8, y0 / 8);
    context.lineTo(x / 8 + 0.01, y / 8);
    context.stroke();
    context.globalCompositeOperation = "source-over";
  }

  /** What is painted as a PNG file in base64, "" for nothing. @returns {Promise<string>} */
  async file() {
    if (!this.mask || !this.isPainted) return "";
    const { width, height, bits } = this.mask;
    const bytes = new Uint8Array(await (await encodePng(bits.slice(), width, height)).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }

  /**
   * The tools, beside the labels.
   * @param {[number, number, number, number][]} boxes  that can be filled
   */
  panel(boxes) {
    const button = (/** @type {Tool} */ tool, /** @type {string} */ name, /** @type {string} */ symbol, /** @type {string} */ key) => html`<button class="button quiet small" type="button" aria-pressed=${this.tool === tool} @click=${() => this.choose(tool)}>${icon(symbol)}${name} <kbd>${key}</kbd></button>`;
    if (!this.mask) return nothing;
    return html`<div class="job-actions" role="group" aria-label="Brush">${button("paint", t("Brush"), "brush", "p")}${button("erase", t("Eraser"), "eraser", "e")}</div>
      ${this.tool === "box" ? nothing : html`<div class="job-actions"><button class="button quiet small" type="button" ?disabled=${!this.size} @click=${() => this.resize(-1)}>Smaller <kbd>,</kbd></button><button class="button quiet small" type="button" ?disabled=${this.size === SIZES.length - 1} @click=${() => this.resize(1)}>Larger <kbd>.</kbd></button></div>`}
      <div class="job-actions">${boxes.length ? html`<button class="button quiet small" type="button" @click=${() => this.fill(boxes)}>Fill the boxes <kbd>f</kbd></button>` : nothing}
      ${this.strokes.length ? html`<button class="button quiet small" type="button" @click=${() => this.undo()}>Undo stroke <kbd>u</kbd></button>` : nothing}
      ${this.isPainted ? html`<button class="button quiet small" type="button" @click=${() => this.clear()}>Discard the mask</button>` : nothing}</div>
      ${this.isPainted ? html`<p class="muted small">What is painted goes with the label, in place of boxes.</p>` : nothing}`;
  }
}

/**
 * What is white in a picture, a byte a pixel.
 * @param {string} address
 * @param {number} width
 * @param {number} height
 */
async function bitsOf(address, width, height) {
  const image = Object.assign(new Image(), { src: address });
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(image, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: width * height }, (_, at) => Number((data[at * 4] ?? 0) > 127));
}
