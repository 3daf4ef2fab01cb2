import { clearPlace, durationOf, flagValue, monthName, plainText, shapeOf, splitPrompt, timeAgo, timeLeft, withFlag } from "/static/js/core/text.js";
import { equal } from "./assert.js";

export function a_prompt_is_split_into_words_and_flags() {
  equal(splitPrompt("a red house --ar 3:2 --raw"), { words: "a red house", flags: ["ar 3:2", "raw"] });
  equal(splitPrompt("--tile a pattern"), { words: "", flags: ["tile a pattern"] });
  equal(splitPrompt("a well-made - or -- not --chaos 5"), { words: "a well-made - or -- not", flags: ["chaos 5"] });
  equal(splitPrompt("phones write —ar 1:2").flags, ["ar 1:2"]);
}

export function a_flag_is_set_changed_and_taken_out() {
  equal(withFlag("a house", ["ar", "aspect"], "3:2"), "a house --ar 3:2 ");
  equal(withFlag("a house --aspect 1:2 --raw", ["ar", "aspect"], "3:2"), "a house --raw --ar 3:2 ");
  equal(withFlag("a house --ar 3:2", ["ar", "aspect"], null), "a house");
  equal(withFlag("a house", ["raw"], ""), "a house --raw ");
  equal(withFlag("", ["raw"], null), "");
}

export function a_flags_value_is_the_last_one_typed() {
  equal(flagValue("a --s 5 --stylize 70", ["stylize", "s"]), "70");
  equal(flagValue("a --raw", ["raw"]), "");
  equal(flagValue("a", ["raw"]), null);
}

export function the_shape_is_that_of_the_flag_if_it_can_be_one() {
  equal(shapeOf("a --ar 3:2"), [3, 2]);
  equal(shapeOf("a --size 640x512"), [640, 512]);
  equal(shapeOf("a --ar 99:1"), [1, 1]);
  equal(shapeOf("a --ar 0:0"), [1, 1]);
}

export function times_are_said_as_people_say_them() {
  equal([0.2, 12, 89, 90, 3600, 3900].map(durationOf), ["1 s", "12 s", "89 s", "2 min", "1 h", "1 h 5 min"]);
  const now = Date.parse("2026-11-26T12:00:00Z");
  equal(timeAgo("2026-11-26T11:59:50Z", now), "just now");
  equal(timeAgo("2026-11-26T11:55:00Z", now), "5 minutes ago");
  equal(timeAgo("2026-11-25T10:00:00Z", now), "yesterday");
  equal(timeAgo("2026-10-01T12:00:00Z", now), "1 October 2026");
  equal(monthName("2026-11"), "November 2026");
  equal(plainText("`--ar` takes a shape."), "--ar takes a shape.");
}

export function what_is_left_is_counted_in_begun_days() {
  const now = Date.parse("2026-11-26T12:00:00Z");
  equal(timeLeft("2026-12-26T11:59:59Z", now), "30 days");
  equal(timeLeft("2026-11-26T12:00:01Z", now), "1 day");
  equal(timeLeft("2026-11-26T12:00:00Z", now), "today");
}

export function a_message_covers_no_button_and_lies_beside_what_was_pressed() {
  const size = { width: 300, height: 40 };
  const view = { width: 1000, height: 700 };
  equal(clearPlace(size, view, null, []), { left: 684, top: 644 });
  const button = new DOMRect(600, 300, 80, 30);
  const below = new DOMRect(500, 335, 400, 300);
  const { left, top } = clearPlace(size, view, button, [button, below]);
  const apart = (/** @type {DOMRect} */ one) => left >= one.right || left + 300 <= one.left || top >= one.bottom || top + 40 <= one.top;
  equal([apart(button), apart(below), Math.hypot(left - 490, top - 295) < 120], [true, true, true]);
}

export function a_page_full_of_buttons_gets_the_message_where_it_covers_least() {
  const whole = new DOMRect(0, 0, 400, 500);
  const { left, top } = clearPlace({ width: 200, height: 40 }, { width: 400, height: 500 }, null, [whole, new DOMRect(0, 0, 400, 450)]);
  equal([left > 0, top >= 440], [true, true]);
}
