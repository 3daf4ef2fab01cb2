// Mouse, pen and fingers on the stage: one paints, two fingers or the hand move the view, a wheel scrolls and zooms.

/** @import {View} from "./view.js" */

/** A point of the document. `pressure`: 0 to 1, 1 for all but pens. */
/** @typedef {{x: number, y: number, pressure: number}} Point */

/**
 * What is done with a pointer that is down.
 * @typedef {object} Gesture
 * @property {(point: Point, event: {shiftKey: boolean, altKey: boolean}) => void} down
 * @property {(points: Point[]) => void} move
 * @property {() => void} up
 * @property {() => void} cancel  as if it had never been down
 */

/**
 * @typedef {object} Hooks
 * @property {(event: PointerEvent) => Gesture | null} gesture  null = move the view
 * @property {() => void} moved  the view is another
 * @property {(point: Point | null) => void} hover
 * @property {() => {width: number, height: number}} size  of the document
 * @property {(place: [number, number]) => [number, number]} home  the place of the stage that a place of a field of it stands for
 */

const SECOND = 150; // ms in which a second finger takes back what the first has begun
const LINE = 16; // CSS px of a wheel that counts in lines

export class Pointers {
  /** @param {HTMLElement} stage @param {View} view @param {Hooks} hooks */
  constructor(stage, view, hooks) {
    this.stage = stage;
    this.view = view;
    this.hooks = hooks;
    /** @type {Map<number, [number, number]>} fingers and hands that are down, in px of the screen */
    this.held = new Map();
    /** @type {{id: number, since: number, gesture: Gesture, touch: boolean} | null} */
    this.active = null;
    this.penSeen = false; // from then on fingers are hands
    /** @type {[number, number] | null} where the active one was last */
    this.last = null;
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    stage.addEventListener("pointerup", (event) => this.#up(event));
    stage.addEventListener("pointercancel", (event) => this.#up(event)); // the system took it: what was painted stays
    stage.addEventListener("pointerleave", () => this.active || this.hooks.hover(null));
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** Take back what has begun. Returns whether there was something. */
  cancel() {
    const { active } = this;
    this.active = null;
    active?.gesture.cancel();
    return active !== null;
  }

  /** @param {MouseEvent} event @returns {[number, number]} px of the screen, from the stage's corner */
  #place(event) {
    const box = this.stage.getBoundingClientRect();
    return this.hooks.home([((event.clientX - box.left) * this.view.width) / box.width, ((event.clientY - box.top) * this.view.height) / box.height]);
  }

  /** The document's point under an event. @param {MouseEvent} event */
  at(event) {
    const [x, y] = this.view.toDocument(...this.#place(event));
    return { x, y };
  }

  /** @param {PointerEvent} event @returns {Point} */
  #point(event) {
    return { ...this.at(event), pressure: event.pointerType === "pen" ? event.pressure : 1 };
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button > 1) return;
    this.stage.setPointerCapture(event.pointerId);
    const touch = event.pointerType === "touch";
    this.penSeen ||= event.pointerType === "pen";
    if (touch && this.active?.touch) this.#second(event);
    else if (this.active) return;
    const isHand = event.button === 1 || (touch && (this.penSeen || this.held.size > 0));
    const gesture = isHand ? null : this.hooks.gesture(event);
    if (!gesture) return void this.held.set(event.pointerId, this.#place(event));
    this.active = { id: event.pointerId, since: event.timeStamp, gesture, touch };
    gesture.down(this.#point(event), event);
  }

  /** A second finger: both are hands from now on. @param {PointerEvent} event */
  #second(event) {
    if (!this.active) return;
    const { id, since, gesture } = this.active;
    this.active = null;
    if (event.timeStamp - since <= SECOND) gesture.cancel();
    else gesture.up();
    this.held.set(id, this.last ?? this.#place(event));
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (this.held.has(event.pointerId)) return this.#hands(event);
    const point = this.#point(event);
    if (event.pointerType !== "touch" || this.active) this.hooks.hover(point);
    if (this.active?.id !== event.pointerId) return;
    this.last = this.#place(event);
    const all = event.getCoalescedEvents?.() ?? [];
    this.active.gesture.move(all.length ? all.map((one) => this.#point(one)) : [point]);
  }

  /** One hand moves the view, two also zoom it. @param {PointerEvent} event */
  #hands(event) {
    const [other] = [...this.held].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const before = /** @type {[number, number]} */ (this.held.get(event.pointerId));
    const now = this.#place(event);
    this.held.set(event.pointerId, now);
    const part = other ? 0.5 : 1; // of the move: the middle of two fingers goes half as far
    if (other) {
      const far = (/** @type {[number, number]} */ [x, y]) => Math.hypot(x - other[0], y - other[1]) || 1;
      this.view.zoom(far(now) / far(before), (other[0] + now[0]) / 2, (other[1] + now[1]) / 2);
    }
    this.view.pan((now[0] - before[0]) * part, (now[1] - before[1]) * part, this.hooks.size());
    this.hooks.moved();
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.held.delete(event.pointerId);
    if (this.active?.id !== event.pointerId) return;
    const { gesture } = this.active;
    this.active = null;
    gesture.up();
    if (event.pointerType === "touch") this.hooks.hover(null);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const unit = (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1) * this.view.density;
    if (event.ctrlKey || event.metaKey) this.view.zoom(Math.exp((-event.deltaY * unit) / (300 * this.view.density)), ...this.#place(event));
    else this.view.pan(-(event.shiftKey ? event.deltaY : event.deltaX) * unit, event.shiftKey ? 0 : -event.deltaY * unit, this.hooks.size());
    this.hooks.moved();
  }
}
