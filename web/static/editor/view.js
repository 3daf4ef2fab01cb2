// Where the document lies on the screen: the scale and the place of its corner, in the screen's own pixels. Pure.

const MOST = 64; // px of the screen for one of the document
const MARGIN = 24; // CSS px around a document that is fitted

/** A point of the document, and CSS px for one of its own. @typedef {{x: number, y: number, zoom: number}} Middle */

export class View {
  constructor() {
    this.width = 1; // of the canvas, in px of the screen
    this.height = 1;
    this.density = 1; // px of the screen for one of CSS
    this.scale = 1; // px of the screen for one of the document
    this.x = 0; // of the document's corner, in px of the screen; drawn at the nearest whole one
    this.y = 0;
  }

  get left() {
    return Math.round(this.x);
  }

  get top() {
    return Math.round(this.y);
  }

  /** The document's point at a point of the screen. @param {number} x @param {number} y @returns {[number, number]} */
  toDocument(x, y) {
    return [(x - this.left) / this.scale, (y - this.top) / this.scale];
  }

  /** The screen's point at a point of the document. @param {number} x @param {number} y @returns {[number, number]} */
  toScreen(x, y) {
    return [x * this.scale + this.left, y * this.scale + this.top];
  }

  /**
   * The window has another size or density: what was in the middle stays there.
   * @param {number} width  px of the screen
   * @param {number} height
   * @param {number} density
   */
  resize(width, height, density) {
    const change = density / this.density;
    this.x = width / 2 + (this.x - this.width / 2) * change;
    this.y = height / 2 + (this.y - this.height / 2) * change;
    this.scale *= change;
    [this.width, this.height, this.density] = [width, height, density];
  }

  /** What is in the middle. @returns {Middle} */
  get middle() {
    const { width, height, scale, density } = this;
    return { x: (width / 2 - this.x) / scale, y: (height / 2 - this.y) / scale, zoom: scale / density };
  }

  set middle({ x, y, zoom }) {
    this.scale = zoom * this.density;
    [this.x, this.y] = [this.width / 2 - x * this.scale, this.height / 2 - y * this.scale];
  }

  /** Show all of a document, in the middle. @param {number} width  px @param {number} height  px @param {number} [across]  of the part of the screen that it has to fit into, px @param {number} [down] */
  fit(width, height, across = this.width, down = this.height) {
    const room = 2 * MARGIN * this.density;
    this.scale = Math.min(Math.max(1, across - room) / width, Math.max(1, down - room) / height, 8 * this.density);
    this.x = (this.width - width * this.scale) / 2;
    this.y = (this.height - height * this.scale) / 2;
  }

  /** Zoom; the point of the screen at x, y stays. @param {number} factor @param {number} x @param {number} y */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const scale = Math.min(MOST, Math.max(1 / MOST, this.scale * factor));
    const change = scale / this.scale;
    this.x = x - (x - this.x) * change;
    this.y = y - (y - this.y) * change;
    this.scale = scale;
  }

  /**
   * Move by px of the screen; some of the document stays in sight.
   * @param {number} dx
   * @param {number} dy
   * @param {{width: number, height: number}} size  of the document
   */
  pan(dx, dy, size) {
    const keep = 48 * this.density;
    this.x = Math.min(this.width - keep, Math.max(keep - size.width * this.scale, this.x + dx));
    this.y = Math.min(this.height - keep, Math.max(keep - size.height * this.scale, this.y + dy));
  }
}
