// A document with its history as it is looked at: its pictures, the mask over them, and what is drawn when.
import { oncePerFrame } from "../js/core/page.js";
import { Clips } from "./clips.js";
import { addressOf } from "./document.js";
import { History } from "./history.js";
import { Overlay } from "./overlay.js";
import { fieldOf, Pictures } from "./pictures.js";
import { Thumbs } from "./thumbs.js";
import { View } from "./view.js";

/** @import {Layer, State} from "./document.js" */
/** @import {Box, Mask} from "./mask.js" */
/** @import {Named} from "./pictures.js" */
/** @import {Band} from "./seam.js" */

const STILL = 120; // ms without a move until the view stands still

/** @typedef {{stage: HTMLElement, picture: HTMLCanvasElement, overlay: HTMLCanvasElement, marks: SVGSVGElement}} Parts */
/** What is shown instead of the document. `split`: % of it, from the right. `beside`: all of these, each in a field of its own. @typedef {{state: State, mask: Mask | null, split: number, beside?: readonly Named[]}} Instead */
/** A preview where it belongs. `part`: of the image, as shares. @typedef {{image: HTMLImageElement, part: [number, number, number, number], box: [number, number, number, number]}} Preview */

export class Screen {
  /**
   * @param {Parts} parts
   * @param {State} state
   * @param {() => void} onChange  the document, or what the panels show of it
   */
  constructor(parts, state, onChange) {
    this.parts = parts;
    this.onChange = onChange;
    this.history = new History(state);
    this.view = new View();
    this.seam = 0; // px inside a layer that are drawn anew where the canvas is extended
    /** @type {Band | null} the same of several layers */
    this.band = null;
    /** @type {Instead | null} */
    this.instead = null;
    /** @type {Preview | null} */
    this.preview = null;
    /** @type {Box | "all" | null} */
    this.stale = "all";
    this.isPictureStale = true;
    /** @type {ReturnType<typeof setTimeout> | undefined} as long as the view moves, the mask is drawn at half its size */
    this.moving = undefined;
    this.half = new Overlay(document.createElement("canvas"));
    this.isFitted = true; // all of the document is shown, and stays so when the stage has another size
    this.clips = new Clips();
    this.pictures = new Pictures(parts.picture, this.clips, () => {
      this.look();
      this.onChange(); // panels show it too
    });
    this.thumbs = new Thumbs(this);
    this.overlay = new Overlay(parts.overlay);
    this.frameSoon = oncePerFrame(() => this.#frame());
    this.load();
    const isExact = "devicePixelContentBoxSize" in ResizeObserverEntry.prototype; // not so in Safari
    new ResizeObserver((all) => this.#resize(all[0])).observe(parts.stage, { box: isExact ? "device-pixel-content-box" : "content-box" });
  }

  /** Draw what lies above the mask. */
  marks() {}

  get state() {
    return this.history.present;
  }

  get mask() {
    return this.history.mask;
  }

  /** Read the pictures of all layers. */
  load() {
    return Promise.all(this.state.layers.map((one) => this.pictures.load(one.source)));
  }

  /** px of the document for so many of CSS. @param {number} css */
  near = (css) => (css * this.view.density) / this.view.scale;

  /** A layer's own size, px; the canvas' until its picture is there. @param {Layer} one */
  sizeOf = (one) => this.pictures.loaded.get(addressOf(one.source)) ?? this.state;

  /** The pixels of a state, RGBA. @param {State} state */
  pixelsOf = (state) => this.pictures.pixels(state);

  /** What is shown of a layer, in px of the canvas: left, top, right, bottom. @param {Layer} one @returns {Box} */
  boxOf(one) {
    const [left, top, right, bottom] = this.clips.boxOf(one, this.sizeOf(one));
    return [one.x + left * one.scale, one.y + top * one.scale, one.x + right * one.scale, one.y + bottom * one.scale];
  }

  /** The mask changed in a box. @param {Box | null} box */
  touched(box) {
    if (!box) return;
    const { stale } = this;
    if (stale !== "all") this.stale = stale ? [Math.min(stale[0], box[0]), Math.min(stale[1], box[1]), Math.max(stale[2], box[2]), Math.max(stale[3], box[3])] : box;
    this.frameSoon();
  }

  /** The layers look another way; the mask doesn't. */
  redraw() {
    this.isPictureStale = true;
    this.frameSoon();
  }

  /** Everything is to be drawn. */
  look() {
    this.stale = "all";
    this.isPictureStale = true;
    this.frameSoon();
  }

  /** Only what lies above the mask. */
  mark() {
    this.frameSoon();
  }

  fit() {
    this.isFitted = true;
    const { width, height } = fieldOf(0, this.instead?.beside?.length ?? 1, this.view);
    this.view.fit(this.state.width, this.state.height, width, height);
    this.look();
    this.onChange();
  }

  /** Zoom; a point of the document stays where it is, else the middle of the stage. @param {number} factor @param {{x: number, y: number} | null} [point] */
  zoom(factor, point = null) {
    const { width, height } = this.view;
    const [x, y] = point ? this.view.toScreen(point.x, point.y) : [width / 2, height / 2];
    this.view.zoom(factor, x, y);
    this.moved();
  }

  /** The view is another, and perhaps goes on moving. */
  moved() {
    this.isFitted = false;
    clearTimeout(this.moving);
    this.moving = setTimeout(() => {
      this.moving = undefined;
      this.look();
    }, STILL);
    this.look();
    this.onChange();
  }

  /** @param {Instead | null} instead */
  show(instead) {
    this.instead = instead;
    for (const { layers } of instead ? [instead.state, ...(instead.beside ?? []).map(({ state }) => state)] : []) for (const one of layers) this.pictures.load(one.source);
    this.look();
  }

  /** The place of the stage that a place of one of its fields stands for. @param {[number, number]} place  px of the screen @returns {[number, number]} */
  home([x, y]) {
    const count = this.instead?.beside?.length ?? 1;
    const { width, height } = fieldOf(0, count, this.view);
    if (count < 2) return [x, y];
    return [(x % width) + (this.view.width - width) / 2, (y % height) + (this.view.height - height) / 2];
  }

  #frame() {
    const { instead } = this;
    const mask = instead ? instead.mask : this.mask;
    if (this.isPictureStale) {
      this.clips.keep(this.state.layers);
      this.pictures.isRough = this.moving !== undefined;
      this.pictures.draw(this.state, this.view);
      if (this.band?.of.layers === this.state.layers && !instead && !this.preview) this.pictures.stretch(this.band.canvas, this.state, this.view);
      if (instead?.beside) this.pictures.beside(instead.beside, this.view);
      else if (instead) this.pictures.draw(instead.state, this.view, 1 - instead.split / 100);
      else if (this.preview) this.pictures.preview(this.preview, this.view);
    }
    if (this.stale && mask && this.moving) this.#coarse(mask);
    else if (this.stale && mask) this.overlay.draw(mask, this.view, this.stale === "all" ? null : this.stale);
    else if (this.stale) this.overlay.clear();
    this.stale = null;
    this.isPictureStale = false;
    this.marks();
  }

  /** A quarter of the work, for a view that moves. @param {Mask} mask */
  #coarse(mask) {
    const { canvas, context } = this.overlay;
    const [width, height] = [Math.ceil(canvas.width / 2), Math.ceil(canvas.height / 2)];
    if (this.half.canvas.width !== width || this.half.canvas.height !== height) [this.half.canvas.width, this.half.canvas.height] = [width, height];
    this.half.draw(mask, Object.assign(new View(), { width, height, scale: this.view.scale / 2, x: this.view.left / 2, y: this.view.top / 2 }), null);
    this.overlay.clear();
    context.imageSmoothingEnabled = false;
    context.drawImage(this.half.canvas, 0, 0, 2 * width, 2 * height);
  }

  /** @param {ResizeObserverEntry | undefined} entry */
  #resize(entry) {
    const exact = entry?.devicePixelContentBoxSize?.[0];
    const { width, height } = this.parts.stage.getBoundingClientRect();
    const [w, h] = exact ? [exact.inlineSize, exact.blockSize] : [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
    for (const canvas of [this.parts.picture, this.parts.overlay]) [canvas.width, canvas.height] = [Math.max(1, w), Math.max(1, h)];
    this.view.resize(Math.max(1, w), Math.max(1, h), w / (width || 1));
    if (this.isFitted) this.fit();
    this.look();
    this.#frame(); // now, as the canvases are empty
  }
}
