// The editor's heart: the tool in hand, and each way in which a person changes the document.
import { counted } from "../js/core/text.js";
import { complain, say } from "../js/core/toasts.js";
import { cutOut } from "./clips.js";
import { freeId, layer, MOST_LAYERS, MOST_SIDE, LEAST_SIDE, withCanvas, withLayer } from "./document.js";
import { History } from "./history.js";
import { drawMarks } from "./marks.js";
import { Picking } from "./picking.js";
import { Pointers } from "./pointers.js";
import { Screen } from "./screen.js";
import { finished, gestureOf } from "./tools.js";

/** @import {Base, Layer, Source, State} from "./document.js" */
/** @import {Box, Mask} from "./mask.js" */
/** @import {Gesture, Point} from "./pointers.js" */
/** @import {Spot, Stroke} from "./strokes.js" */
/** @import {Tool} from "./tools.js" */

export const FIELDS = 4; // a side, as under Vary (Region) on Discord
const FULL = `There are ${MOST_LAYERS} layers already. Remove one first.`;

/** A rectangle or a lasso that isn't done. @typedef {{tool: "rect" | "lasso", value: 0 | 1, points: Point[], end: Point | null}} Shape */
export class Editor extends Screen {
  /**
   * @param {{stage: HTMLElement, picture: HTMLCanvasElement, overlay: HTMLCanvasElement, marks: SVGSVGElement}} parts
   * @param {State} state
   * @param {() => void} onChange  the document, or what the panels show of it
   */
  constructor(parts, state, onChange) {
    super(parts, state, onChange);
    /** @type {Tool} */
    this.tool = "brush";
    this.size = 40; // px across
    this.value = /** @type {0 | 1} */ (1);
    this.tolerance = 24;
    this.selected = state.layers.at(-1)?.id ?? "";
    /** @type {Shape | null} */
    this.shape = null;
    /** @type {Box | null} the canvas that is being dragged, px */
    this.frame = null;
    /** @type {Point | null} */
    this.hover = null;
    /** @type {Point | null} where the keyboard paints */
    this.cursor = null;
    /** @type {Spot | null} */
    this.lastSpot = null;
    this.isHandHeld = false;
    /** @type {typeof import("./steps.js").stepsOf | null} as long as somebody looks at the history */
    this.stepsOf = null;
    /** @type {{of: readonly Layer[], loaded: number, pixels: Uint8ClampedArray} | null} for the wand */
    this.composed = null;
    this.picking = new Picking(this);
    this.pointers = new Pointers(parts.stage, this.view, {
      gesture: (event) => this.gesture(event.altKey || event.button === 2),
      moved: () => this.moved(),
      hover: (point) => {
        this.hover = point;
        if (point) this.cursor = null;
        if (this.shape && point && !this.pointers.active) this.shape.end = point;
        this.mark();
      },
      size: () => this.state,
      home: (place) => this.home(place),
    });
  }

  marks() {
    drawMarks(this);
  }

  /** @param {boolean} isOther @returns {Gesture | null} */
  gesture(isOther) {
    if (this.instead || this.isHandHeld) return null; // a result is looked at
    this.cursor = null;
    return gestureOf(this, this.tool, isOther);
  }

  /** @param {Tool} tool */
  take(tool) {
    this.drop();
    this.tool = tool;
    this.lastSpot = null;
    if (tool === "pick") this.picking.ready();
    this.onChange();
  }

  /** Another setting of a tool. @param {Partial<Pick<Editor, "size" | "value" | "tolerance" | "stepsOf">>} settings */
  set(settings) {
    Object.assign(this, settings);
    this.mark();
    this.onChange();
  }

  /** The hand as long as a key is held. @param {boolean} isOn */
  hold(isOn) {
    this.isHandHeld = isOn;
    this.mark();
  }

  /** Begin anew with a document. @param {State} state */
  open(state) {
    this.history = new History(state);
    this.selected = state.layers.at(-1)?.id ?? "";
    this.load();
    this.look();
    this.onChange();
  }

  // What changes the document

  /** @param {State} state @param {string} [kind] */
  change(state, kind) {
    this.history.change(state, kind);
    this.look();
    this.onChange();
  }

  settle() {
    this.history.settle();
    this.onChange();
  }

  /** @param {Stroke} stroke */
  paint(stroke) {
    this.touched(this.history.paint(stroke));
    this.changed();
  }

  /** The mask is another: say so. */
  changed() {
    this.onChange();
    this.frameSoon();
  }

  /** @param {Uint8Array} bits @param {State} [state] */
  found(bits, state) {
    this.history.found(bits, state);
    this.look();
    this.changed();
  }

  /** Other layers, and no mask if it `isClean`. @param {State} state @param {boolean} isClean */
  replace(state, isClean) {
    if (isClean && this.mask.bounds) this.history.found(new Uint8Array(this.mask.bits.length), state);
    else this.history.change(state);
    this.load();
    this.look();
    this.changed();
  }

  clear() {
    if (this.mask.bounds) this.found(new Uint8Array(this.mask.bits.length));
  }

  undo() {
    this.#went(this.history.undo(), "Undone");
  }

  redo() {
    this.#went(this.history.redo(), "Done again");
  }

  /** Undo or redo so many steps at once. @param {number} away  less than 0: back */
  jump(away) {
    const step = () => (away < 0 ? this.history.undo() : this.history.redo());
    for (let left = Math.abs(away); left > 1; left--) step();
    if (!away) return;
    this.#went(step(), `${counted(Math.abs(away), "step")} ${away < 0 ? "undone" : "done again"}`);
    this.look();
  }

  /** Paint one of the numbered fields, or take it away where all of it is painted. @param {number} n  from 1, row by row */
  field(n) {
    const { width, height } = this.state;
    const edge = (/** @type {number} */ at, /** @type {number} */ side) => Math.round((at * side) / FIELDS);
    const [column, row] = [(n - 1) % FIELDS, Math.floor((n - 1) / FIELDS)];
    const box = /** @type {Box} */ ([edge(column, width), edge(row, height), edge(column + 1, width), edge(row + 1, height)]);
    const value = this.mask.isFull(box) ? 0 : 1;
    this.paint({ tool: "rect", value, box });
    say(`Field ${n} ${value ? "painted" : "taken away"}`);
  }

  /** @param {Box | null} box @param {string} said */
  #went(box, said) {
    if (!box) return;
    if (!this.state.layers.some(({ id }) => id === this.selected)) this.selected = this.state.layers.at(-1)?.id ?? "";
    this.shape = null;
    this.touched(box);
    this.isPictureStale = true;
    this.load();
    this.changed();
    say(said);
  }

  /** Another canvas, px added at the left and at the top. @param {number} left @param {number} top @param {number} width @param {number} height */
  setCanvas(left, top, width, height) {
    const sides = [width, height].map((px) => Math.min(MOST_SIDE, Math.max(LEAST_SIDE, Math.round(px))));
    const [w = width, h = height] = sides;
    const [l, t] = [Math.round(left), Math.round(top)];
    if (w === this.state.width && h === this.state.height && !l && !t) return;
    this.view.x -= l * this.view.scale;
    this.view.y -= t * this.view.scale;
    this.history.resize(withCanvas(this.state, l, t, w, h), l, t);
    this.look();
    this.changed();
    say(`The canvas is ${w} × ${h} px`);
  }

  /** Put a picture on top, as small as the canvas; its middle in the canvas' or at a point. @param {Source} source @param {string} name @param {{x: number, y: number}} [at] */
  async add(source, name, at) {
    if (this.state.layers.length >= MOST_LAYERS) throw new Error(FULL);
    const { width, height } = await this.pictures.load(source);
    const scale = Math.max(0.01, Math.min(1, Math.ceil(10_000 * Math.min(this.state.width / width, this.state.height / height)) / 10_000));
    const id = freeId(this.state);
    const middle = at ?? { x: this.state.width / 2, y: this.state.height / 2 };
    const [x, y] = [Math.round(middle.x - (width * scale) / 2), Math.round(middle.y - (height * scale) / 2)];
    this.selected = id;
    this.change({ ...this.state, layers: [...this.state.layers, { ...layer(id, source), x, y, scale, name: name.slice(0, 80) }] });
  }

  /** What is shown of a layer was painted. @param {string} id @param {Base | null} clip @param {number} bytes  of what changed */
  cut(id, clip, bytes) {
    this.history.clipped(withLayer(this.state, id, { clip }), bytes);
    this.redraw();
  }

  /** Put what the mask marks of the selected layer on a layer of its own, over it. @param {boolean} isHole  it isn't there below any more, so that the hole is drawn */
  cutOut(isHole) {
    const from = this.layer;
    if (!from || !this.mask.bounds) return complain("Paint or pick what is to be cut out first.");
    if (this.state.layers.length >= MOST_LAYERS) return complain(FULL);
    const id = freeId(this.state);
    const state = cutOut(this.state, this.mask, from, this.sizeOf(from), id, isHole);
    if (!state) return complain("Nothing of what is painted lies on the selected layer.");
    this.found(new Uint8Array(this.mask.bits.length), state);
    this.take("move");
    this.select(id);
    const [left, top, right, bottom] = this.boxOf(/** @type {Layer} */ (this.layer));
    if (this.cursor) this.cursor = { x: Math.floor((left + right) / 2) + 0.5, y: Math.floor((top + bottom) / 2) + 0.5, pressure: 1 };
    say(isHole ? "Cut out. Move it, and what it leaves will be drawn" : "Copied to a layer of its own");
  }

  // Shapes that are pressed point for point

  finish() {
    const { shape } = this;
    this.shape = null;
    if (shape) finished(this, shape);
    this.mark();
  }

  /** Forget what has begun. Returns whether there was something. */
  drop() {
    const had = this.shape !== null;
    this.shape = null;
    this.mark();
    return had;
  }

  // Layers

  get layer() {
    return this.state.layers.find(({ id }) => id === this.selected);
  }

  /** @param {string} id */
  select(id) {
    this.selected = id;
    this.lastSpot = null;
    if (this.tool === "pick") this.picking.ready();
    this.mark();
    this.onChange();
  }

  /** The layer at a point: the selected one, if it is there too. @param {Point} point @param {number} margin  px */
  layerAt({ x, y }, margin) {
    const isHit = (/** @type {Layer} */ one) => {
      const [left, top, right, bottom] = this.boxOf(one);
      return one.visible && x >= left - margin && y >= top - margin && x < right + margin && y < bottom + margin;
    };
    const hit = this.state.layers.filter(isHit);
    return hit.find(({ id }) => id === this.selected) ?? hit.at(-1);
  }
}
