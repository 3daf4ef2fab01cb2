// Labels that the folders of dropped files give.
import { chosenFiles, isPicture, isZip, labelOf } from "/static/projects/intake.js";
import { equal } from "./assert.js";

export function a_folder_that_holds_a_file_is_its_label() {
  equal(labelOf("boards/scratch/1.png"), "scratch");
  equal(labelOf("scratch/1.png"), "scratch");
  equal(labelOf("1.png"), "");
  equal(labelOf("boards/Train/1.png"), "");
  equal(labelOf(`${"x".repeat(200)}/1.png`).length, 80);
}

export function files_of_a_field_have_no_label_of_their_own() {
  const [one] = chosenFiles([new File(["a"], "a.png", { type: "image/png" })]);
  equal([one.file.name, one.label], ["a.png", ""]);
}

export function pictures_and_zip_files_are_known_by_type_or_name() {
  equal(isPicture(new File([], "a.JPG")), true);
  equal(isPicture(new File([], "a.txt", { type: "text/plain" })), false);
  equal(isZip(new File([], "a.ZIP")), true);
  equal(isZip(new File([], "a.png")), false);
}
