// What a model has said, drawn as nodes: nothing of it is ever taken for HTML, and nothing in it can be pressed.
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { blocks } from "../core/markdown.js";

/** @import {Block, List, Piece} from "../core/markdown.js" */

/** @param {string} text */
export const said = (text) => blocks(text).map(block);

/** @param {Block} one */
function block(one) {
  switch (one.kind) {
    case "head":
      return html`<p class="said-head"><strong>${words(one.pieces)}</strong></p>`;
    case "quote":
      return html`<blockquote>${words(one.pieces)}</blockquote>`;
    case "code":
      return html`<pre tabindex="0" role="region" aria-label=${one.language ? `Code, ${one.language}` : "Code"}><code>${one.text}</code></pre>`;
    case "rule":
      return html`<hr>`;
    case "list":
      return list(one);
    case "table":
      return html`<div class="said-table" tabindex="0" role="region" aria-label="Table"><table>
        <thead><tr>${one.head.map((cell) => html`<th scope="col">${words(cell)}</th>`)}</tr></thead>
        <tbody>${one.rows.map((row) => html`<tr>${row.map((cell) => html`<td>${words(cell)}</td>`)}</tr>`)}</tbody>
      </table></div>`;
    default:
      return html`<p>${words(one.pieces)}</p>`;
  }
}

/**
 * @param {List} one
 * @returns {unknown}
 */
function list(one) {
  const items = one.items.map(({ pieces, inner }) => html`<li>${words(pieces)}${inner.length ? inner.map(list) : nothing}</li>`);
  return one.ordered ? html`<ol start=${one.start}>${items}</ol>` : html`<ul>${items}</ul>`;
}

/** @param {Piece[]} pieces */
const words = (pieces) => pieces.map(({ text, marks }) => marks.reduceRight(marked, /** @type {unknown} */ (text)));

/**
 * @param {unknown} inner
 * @param {string} mark
 * @returns {unknown}
 */
function marked(inner, mark) {
  if (mark === "code") return html`<code>${inner}</code>`;
  if (mark === "bold") return html`<strong>${inner}</strong>`;
  return mark === "italic" ? html`<em>${inner}</em>` : html`<s>${inner}</s>`;
}
