import { drawMarkdown, parseBlocks, parsePieces } from "/static/js/parts/markdown.js";
import { html, render } from "/static/vendor/lit-html/lit-html.js";
import { equal } from "./assert.js";

const plain = (/** @type {string} */ text) => [{ text, marks: [] }];
const drawn = (/** @type {string} */ text) => {
  const place = document.createElement("div");
  render(html`${drawMarkdown(text)}`, place);
  return place;
};

export function words_are_paragraphs_with_their_line_breaks() {
  equal(parseBlocks("One\ntwo\n\n\nthree"), [{ kind: "words", pieces: plain("One\ntwo") }, { kind: "words", pieces: plain("three") }]);
  equal(parseBlocks(""), []);
}

export function marks_are_bold_italic_struck_and_code() {
  equal(parsePieces("a **b** _c_ ~~d~~ `e*f*`"), [
    ...plain("a "), { text: "b", marks: ["bold"] }, ...plain(" "), { text: "c", marks: ["italic"] }, ...plain(" "),
    { text: "d", marks: ["struck"] }, ...plain(" "), { text: "e*f*", marks: ["code"] },
  ]);
  equal(parsePieces("**bold and *both***"), [{ text: "bold and ", marks: ["bold"] }, { text: "both", marks: ["bold", "italic"] }]);
}

export function what_is_no_mark_stays_as_it_is() {
  for (const text of ["2 * 3 * 4", "snake_case_name", "a ** b", "**open", "`open", "5 > 3 < 4", "__init__.py", "~ 3", "*"]) {
    equal(parsePieces(text), plain(text));
  }
  equal(parsePieces("\\*not\\* \\`so\\`"), plain("*not* `so`"));
}

export function links_and_markup_stay_text() {
  const text = 'See [here](https://evil.example) <b onclick="x()">now</b> ![x](https://evil.example/x.png) <script>1</script>';
  equal(parseBlocks(text), [{ kind: "words", pieces: plain(text) }]);
  const place = drawn(`${text}\n\n- [a](javascript:alert(1))\n\n|[b](data:x)|\n|-|\n|<img src=x>|`);
  equal(place.querySelectorAll("a, b, img, script, [onclick]").length, 0);
  equal(place.querySelector("p")?.textContent, text);
}

export function lists_nest_and_number() {
  const [list] = parseBlocks("3. three\n   goes on\n4. four\n  - deep\n  - deeper\n5. five");
  if (list?.kind !== "list") throw new Error("no list");
  equal([list.ordered, list.start, list.items.length], [true, 3, 3]);
  equal(list.items[0]?.pieces, plain("three\ngoes on"));
  equal(list.items[1]?.inner[0]?.items.map(({ pieces }) => pieces), [plain("deep"), plain("deeper")]);
  equal(parseBlocks("text\n- one\n\n- two").map(({ kind }) => kind), ["words", "list"]);
  equal(parseBlocks("It was\n1984. Nobody knew.").map(({ kind }) => kind), ["words"]);
}

export function code_is_kept_to_its_fence_and_to_the_end_while_it_grows() {
  equal(parseBlocks("```js\nconst a = `**b**`;\n\n- x\n```\nafter"), [
    { kind: "code", text: "const a = `**b**`;\n\n- x", language: "js" }, { kind: "words", pieces: plain("after") },
  ]);
  equal(parseBlocks("```\ngrowing"), [{ kind: "code", text: "growing", language: "" }]);
  equal(parseBlocks("~~~~\n~~~\n~~~~"), [{ kind: "code", text: "~~~", language: "" }]);
}

export function tables_have_a_head_and_whole_rows() {
  const [table] = parseBlocks("| Thing | How many |\n|:--|--:|\n| boat | **2** |\n| tree |\n");
  if (table?.kind !== "table") throw new Error("no table");
  equal(table.head, [plain("Thing"), plain("How many")]);
  equal(table.rows, [[plain("boat"), [{ text: "2", marks: ["bold"] }]], [plain("tree"), []]]);
  equal(parseBlocks("a | b\nc | d").map(({ kind }) => kind), ["words"]);
}

export function headings_quotes_and_rules() {
  equal(parseBlocks("## What #\n> said\n> twice\n\n---\n#no").map(({ kind }) => kind), ["head", "quote", "rule", "words"]);
  equal(drawn("# Big").querySelector("h1, h2, h3"), null); // the page has its own
}

export function nodes_hold_what_the_blocks_say() {
  const place = drawn("**Two** boats:\n\n1. red\n2. blue\n\n```py\nx < y\n```\n\n|a|\n|-|\n|1|");
  equal(place.querySelector("p strong")?.textContent, "Two");
  equal([...place.querySelectorAll("ol > li")].map((one) => one.textContent), ["red", "blue"]);
  equal(place.querySelector("pre")?.textContent, "x < y");
  equal(place.querySelector("pre")?.getAttribute("aria-label"), "Code, py");
  equal(place.querySelector("td")?.textContent, "1");
}

export function odd_texts_lose_nothing_and_take_no_time() {
  const began = performance.now();
  for (const sign of ["*", "**", "_", "`", "~~", "|", "- ", "> ", "#", "\\", "[", "* a ", "_a ", "`a ``", "  - a\n", "|-|\n"]) {
    const text = sign.repeat(Math.ceil(16000 / sign.length));
    parseBlocks(text);
    equal(parsePieces(`${sign.repeat(50)}word`).some(({ text }) => text.includes("word")), true);
  }
  if (performance.now() - began > 2000) throw new Error(`${performance.now() - began} ms`);
}
