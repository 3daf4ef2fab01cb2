import { History } from "/static/js/parts/bar.js";
import { equal } from "./assert.js";

export function arrow_up_brings_the_last_prompt_and_then_the_one_before() {
  const history = new History(["newest", "older", "newest"]);
  equal(history.move("", "ArrowUp"), "newest");
  equal(history.move("newest", "ArrowUp"), "older");
  equal(history.move("older", "ArrowUp"), null);
  equal(history.move("older", "ArrowDown"), "newest");
  equal(history.move("newest", "ArrowDown"), "");
}

export function a_field_with_own_words_keeps_its_arrows() {
  const history = new History(["newest"]);
  equal(history.move("mine", "ArrowUp"), null);
  history.move("", "ArrowUp");
  equal(history.move("newest, changed", "ArrowUp"), null);
  equal(history.move("", "Enter"), null);
}

export function what_was_just_sent_comes_first() {
  const history = new History(["a", "b"]);
  history.add("b");
  equal(history.move("", "ArrowUp"), "b");
  equal(history.move("b", "ArrowUp"), "a");
}
