// The text of the search box.
import { withToken } from "/static/js/gallery/gallery.js";
import { equal } from "./assert.js";

export function a_filter_is_added_changed_and_taken_away() {
  equal(withToken("red boat", "seed", "7"), "red boat seed:7");
  equal(withToken("seed:7 red boat", "seed", "12"), "red boat seed:12");
  equal(withToken("red seed:7 boat", "seed", ""), "red boat");
  equal(withToken("", "by", "me"), "by:me");
}

export function a_value_with_spaces_is_quoted() {
  equal(withToken("red", "model", "sd  xl"), 'red model:"sd  xl"');
  equal(withToken('red model:"sd xl" boat', "model", "flux"), "red boat model:flux");
  equal(withToken("red", "model", '"; --'), "red model:\"; --\"");
}

export function another_filter_with_the_same_end_stays() {
  equal(withToken("xseed:1 seed:2", "seed", "3"), "xseed:1 seed:3");
}
