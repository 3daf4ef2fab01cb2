import { Completion } from "/static/js/parts/completion.js";
import { equal, holds } from "./assert.js";

const FOUND = [{ text: "a house --ar ", label: "--ar: shape" }, { text: "a house --raw ", label: "--raw: no house style" }];

/** A field with an open list, and what was taken. */
async function opened() {
  document.body.replaceChildren();
  const field = document.body.appendChild(document.createElement("textarea"));
  const list = document.body.appendChild(Object.assign(document.createElement("ul"), { id: "list" }));
  const taken = [];
  const completion = new Completion(field, list, (text) => taken.push(text));
  window.fetch = async () => new Response(JSON.stringify({ suggestions: FOUND, marks: [], draws: [] }), { headers: { "Content-Type": "application/json" } });
  field.focus();
  field.value = "a house --";
  field.dispatchEvent(new InputEvent("input"));
  for (let k = 0; k < 100 && !completion.isOpen; k += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  holds(completion.isOpen, "the list didn't open");
  const press = (key, more = {}) => completion.key(new KeyboardEvent("keydown", { key, cancelable: true, ...more }));
  return { field, list, taken, completion, press };
}

export async function enter_still_sends_until_an_arrow_has_chosen() {
  const { press, taken, completion } = await opened();
  equal([press("Enter"), taken, completion.isOpen], [false, [], true]);
  equal([press("ArrowDown"), press("ArrowDown"), press("Enter")], [true, true, true]);
  equal([taken, completion.isOpen], [["a house --raw "], false]);
}

export async function tab_takes_the_first_and_shift_tab_leaves() {
  const { press, taken } = await opened();
  equal([press("Tab", { shiftKey: true }), taken], [false, []]);
  equal([press("Tab"), taken], [true, ["a house --ar "]]);
  equal(press("Tab"), false);
}

export async function the_marked_option_is_told_to_screen_readers() {
  const { press, field, list } = await opened();
  press("ArrowUp");
  const marked = list.querySelector("[aria-selected=true]");
  equal([field.getAttribute("aria-activedescendant"), marked?.textContent], [marked?.id, "--rawno house style"]);
  press("Escape");
  equal([list.hidden, field.hasAttribute("aria-activedescendant")], [true, false]);
}
