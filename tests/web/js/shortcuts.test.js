import { addShortcuts } from "/static/js/core/page.js";
import { downloadTiles } from "/static/js/parts/chosen.js";
import { equal } from "./assert.js";

export function arrows_on_a_video_are_the_players() {
  const video = Object.assign(document.createElement("video"), { controls: true });
  document.body.append(video);
  const pressed = [];
  addShortcuts({ ArrowLeft: () => pressed.push("left"), k: () => pressed.push("k") });
  const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  press(video, "ArrowLeft");
  press(video, "k");
  equal(pressed, ["k"]);
  press(document.body, "ArrowLeft");
  equal(pressed, ["k", "left"]);
}

export function a_chosen_video_is_downloaded_as_a_video_and_several_in_a_tab_of_their_own() {
  const links = [];
  const forms = [];
  HTMLAnchorElement.prototype.click = function () {
    links.push(new URL(this.href).pathname);
  };
  HTMLFormElement.prototype.requestSubmit = function () {
    forms.push([new URL(this.action).pathname, this.target, new FormData(this).get("pictures")]);
  };
  const [picture, video] = [{ job: "a", n: 1, seconds: null }, { job: "b", n: 2, seconds: 5 }];
  for (const chosen of [[picture], [video], [picture, video]]) downloadTiles(chosen);
  equal([links, forms], [["/files/a/1", "/files/b/2.mp4"], [["/api/zip", "_blank", "a/1 b/2"]]]);
}
