// What a model writes, as blocks and pieces (bold, lists, code, tables) and drawn as nodes, never HTML. Links and pictures
// stay the text that they are: nobody presses what a model made up.
import { nothing } from "../../vendor/lit-html/lit-html.js";
import { html, t } from "../core/text.js";

/** @typedef {{text: string, marks: string[]}} Piece  marks: "bold", "italic", "struck", "code" */
/** @typedef {{pieces: Piece[], inner: List[]}} Item */
/** @typedef {{kind: "list", ordered: boolean, start: number, items: Item[]}} List */
/** @typedef {{kind: "words" | "head" | "quote", pieces: Piece[]} | {kind: "code", text: string, language: string} | {kind: "table", head: Piece[][], rows: Piece[][][]} | {kind: "rule"} | List} Block */
/** @typedef {{depth: number, number: string | undefined, text: string}} Line  of a list */

const MARKS = /** @type {[string, string][]} */ ([["**", "bold"], ["~~", "struck"], ["*", "italic"], ["_", "italic"]]);
const FENCE = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const ITEM = /^(\s*)(?:[-*+•]|(\d{1,9})[.)])\s+(\S.*)$/;
const HEAD = /^#{1,6}\s+(\S.*)$/;
const RULE = /^(?:-{3,}|\*{3,}|_{3,})$/;
const ESCAPED = /[\\`*_{}[\]()#+\-.!|~>]/;
const WORD = /[\p{L}\p{N}]/u;
const DEEPEST = 3; // marks within marks, and lists within lists
const MOST_COLUMNS = 20;

/**
 * The blocks of a text. What isn't closed yet, while it grows, counts as if it were.
 * @param {string} text
 * @returns {Block[]}
 */
export function parseBlocks(text) {
  const lines = text.split("\n");
  /** @type {Block[]} */
  const found = [];
  /** @type {string[]} */
  let words = [];
  const end = () => {
    if (words.length) found.push({ kind: "words", pieces: parsePieces(words.join("\n")) });
    words = [];
  };
  for (let at = 0; at < lines.length; ) {
    const taken = block(lines, at, words.length > 0);
    if (taken) {
      end();
      if (taken.block) found.push(taken.block);
      at = taken.next;
    } else words.push(lines[at++] ?? "");
  }
  end();
  return found;
}

/**
 * The block that begins at a line, null where words do.
 * @param {string[]} lines
 * @param {number} at
 * @param {boolean} within  words go before it without a blank line
 * @returns {{block: Block | null, next: number} | null}
 */
function block(lines, at, within) {
  const line = lines[at] ?? "";
  if (!line.trim()) return { block: null, next: at + 1 };
  const fence = FENCE.exec(line);
  if (fence) return code(lines, at, fence[1] ?? "", (fence[2] ?? "").trim());
  const head = HEAD.exec(line.trim());
  if (head) return { block: { kind: "head", pieces: parsePieces((head[1] ?? "").replace(/\s#+$/, "")) }, next: at + 1 };
  if (RULE.test(line.trim())) return { block: { kind: "rule" }, next: at + 1 };
  if (line.startsWith(">")) return quote(lines, at);
  const item = ITEM.exec(line);
  if (item && (!within || item[2] === undefined || item[2] === "1")) return list(lines, at);
  return table(lines, at);
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {string} fence
 * @param {string} language
 * @returns {{block: Block, next: number}}
 */
function code(lines, at, fence, language) {
  let next = at + 1;
  while (next < lines.length && !isClosing(lines[next] ?? "", fence)) next++;
  return { block: { kind: "code", text: lines.slice(at + 1, next).join("\n"), language }, next: next + 1 };
}

/**
 * @param {string} line
 * @param {string} fence
 */
function isClosing(line, fence) {
  const text = line.trim();
  return text.length >= fence.length && text === (fence[0] ?? "").repeat(text.length);
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @returns {{block: Block, next: number}}
 */
function quote(lines, at) {
  let next = at;
  while (lines[next]?.startsWith(">")) next++;
  const text = lines.slice(at, next).map((line) => line.replace(/^>\s?/, "")).join("\n");
  return { block: { kind: "quote", pieces: parsePieces(text) }, next };
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @returns {{block: Block, next: number}}
 */
function list(lines, at) {
  /** @type {Line[]} */
  const items = [];
  let next = at;
  for (; next < lines.length; next++) {
    const line = lines[next] ?? "";
    const [, space = "", number, text] = ITEM.exec(line) ?? [];
    const last = items[items.length - 1];
    if (text !== undefined && !RULE.test(line.trim())) items.push({ depth: Math.min(DEEPEST, space.length >> 1), number, text });
    else if (last && /^\s+\S/.test(line)) last.text += `\n${line.trim()}`;
    else if (line.trim() || !ITEM.test(lines[next + 1] ?? "")) break; // one blank line between two items
  }
  return { block: grouped(items, 0, items.length), next };
}

/**
 * The list of items[begin:end], of which the first says what kind it is; deeper ones belong to the one before.
 * @param {Line[]} items
 * @param {number} begin
 * @param {number} end
 * @returns {List}
 */
function grouped(items, begin, end) {
  const first = /** @type {Line} */ (items[begin]);
  /** @type {List} */
  const made = { kind: "list", ordered: first.number !== undefined, start: Number(first.number ?? 1), items: [] };
  for (let at = begin; at < end; ) {
    const item = /** @type {Line} */ (items[at]);
    let next = at + 1;
    while (next < end && (items[next]?.depth ?? 0) > first.depth) next++;
    made.items.push({ pieces: parsePieces(item.text), inner: next > at + 1 ? [grouped(items, at + 1, next)] : [] });
    at = next;
  }
  return made;
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @returns {{block: Block, next: number} | null}
 */
function table(lines, at) {
  const head = cells(lines[at] ?? ""), under = cells(lines[at + 1] ?? "");
  const fits = head.length === under.length && head.length <= MOST_COLUMNS && under.every((cell) => /^:?-+:?$/.test(cell));
  if (!fits || !(lines[at] ?? "").includes("|")) return null;
  /** @type {Piece[][][]} */
  const rows = [];
  let next = at + 2;
  for (; (lines[next] ?? "").includes("|"); next++) {
    const row = cells(lines[next] ?? "").slice(0, head.length);
    rows.push([...row, ...Array(head.length - row.length).fill("")].map((cell) => parsePieces(cell)));
  }
  return { block: { kind: "table", head: head.map((cell) => parsePieces(cell)), rows }, next };
}

/** @param {string} line */
function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return inner ? inner.split("|").map((cell) => cell.trim()) : [];
}

/**
 * The pieces of a text within a block.
 * @param {string} text
 * @param {string[]} [marks]  that all of it has
 * @returns {Piece[]}
 */
export function parsePieces(text, marks = []) {
  /** @type {Piece[]} */
  const found = [];
  const missing = new Set(); // marks without an end from here on
  let plain = "";
  const put = (/** @type {Piece[]} */ more) => {
    if (plain) found.push({ text: plain, marks });
    plain = "";
    found.push(...more);
  };
  for (let at = 0; at < text.length; ) {
    const sign = text[at] ?? "";
    if (sign === "\\" && ESCAPED.test(text[at + 1] ?? "")) {
      plain += text[at + 1];
      at += 2;
      continue;
    }
    const marked = sign === "`" ? inCode(text, at, marks, missing) : inMarks(text, at, marks, missing);
    if (marked) put(marked.pieces);
    else plain += sign;
    at = marked ? marked.next : at + 1;
  }
  put([]);
  return found;
}

/**
 * @param {string} text
 * @param {number} at
 * @param {string[]} marks
 * @param {Set<string>} missing
 * @returns {{pieces: Piece[], next: number} | null}
 */
function inCode(text, at, marks, missing) {
  let begin = at;
  while (text[begin] === "`") begin++;
  const ticks = text.slice(at, begin);
  const end = missing.has(ticks) ? -1 : text.indexOf(ticks, begin);
  if (end < 0) missing.add(ticks);
  if (end <= begin) return null;
  return { pieces: [{ text: text.slice(begin, end), marks: [...marks, "code"] }], next: end + ticks.length };
}

/**
 * @param {string} text
 * @param {number} at
 * @param {string[]} marks
 * @param {Set<string>} missing
 * @returns {{pieces: Piece[], next: number} | null}
 */
function inMarks(text, at, marks, missing) {
  if (marks.length >= DEEPEST) return null;
  for (const [sign, mark] of MARKS) {
    if (!text.startsWith(sign, at) || missing.has(sign) || marks.includes(mark)) continue;
    const begin = at + sign.length;
    if (/\s/.test(text[begin] ?? " ") || (sign[0] === "_" && WORD.test(text[at - 1] ?? ""))) continue;
    const end = closing(text, sign, begin, missing);
    if (end > begin) return { pieces: parsePieces(text.slice(begin, end), [...marks, mark]), next: end + sign.length };
  }
  return null;
}

/**
 * Where a mark ends that began before `from`; -1 where it doesn't.
 * @param {string} text
 * @param {string} sign
 * @param {number} from
 * @param {Set<string>} missing
 */
function closing(text, sign, from, missing) {
  let end = text.indexOf(sign, from);
  if (end < 0) missing.add(sign);
  while (end >= 0 && sign.length === 1 && text[end + 1] === sign) end = text.indexOf(sign, end + 2); // of a longer one
  if (end >= 0 && sign.length === 2 && text[end + 2] === sign[0]) end++; // the first one ends a mark within
  if (end < 0 || /\s/.test(text[end - 1] ?? " ")) return -1;
  return sign[0] === "_" && WORD.test(text[end + sign.length] ?? "") ? -1 : end;
}

/** @param {string} text */
export const drawMarkdown = (text) => parseBlocks(text).map(drawBlock);

/** @param {Block} one */
function drawBlock(one) {
  switch (one.kind) {
    case "head":
      return html`<p class="said-head"><strong>${drawPieces(one.pieces)}</strong></p>`;
    case "quote":
      return html`<blockquote>${drawPieces(one.pieces)}</blockquote>`;
    case "code":
      return html`<pre tabindex="0" role="region" aria-label=${one.language ? t("Code, {0}", one.language) : t("Code")}><code>${one.text}</code></pre>`;
    case "rule":
      return html`<hr>`;
    case "list":
      return drawList(one);
    case "table":
      return html`<div class="said-table" tabindex="0" role="region" aria-label="Table"><table>
        <thead><tr>${one.head.map((cell) => html`<th scope="col">${drawPieces(cell)}</th>`)}</tr></thead>
        <tbody>${one.rows.map((row) => html`<tr>${row.map((cell) => html`<td>${drawPieces(cell)}</td>`)}</tr>`)}</tbody>
      </table></div>`;
    default:
      return html`<p>${drawPieces(one.pieces)}</p>`;
  }
}

/**
 * @param {List} one
 * @returns {unknown}
 */
function drawList(one) {
  const items = one.items.map(({ pieces, inner }) => html`<li>${drawPieces(pieces)}${inner.length ? inner.map(drawList) : nothing}</li>`);
  return one.ordered ? html`<ol start=${one.start}>${items}</ol>` : html`<ul>${items}</ul>`;
}

/** @param {Piece[]} pieces */
const drawPieces = (pieces) => pieces.map(({ text, marks }) => marks.reduceRight(withMark, /** @type {unknown} */ (text)));

/**
 * @param {unknown} inner
 * @param {string} mark
 * @returns {unknown}
 */
function withMark(inner, mark) {
  if (mark === "code") return html`<code>${inner}</code>`;
  if (mark === "bold") return html`<strong>${inner}</strong>`;
  return mark === "italic" ? html`<em>${inner}</em>` : html`<s>${inner}</s>`;
}
