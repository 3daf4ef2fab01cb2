import { addShortcuts } from "/static/js/core/page.js";
import { downloadTiles } from "/static/js/parts/chosen.js";
import { equal } from "./assert.js";

export function arrows_on_a_film_are_the_players() {
  const film = Object.assign(document.createElement("video"), { controls: true });
  document.body.append(film);
  const pressed = [];
  addShortcuts({ ArrowLeft: () => pressed.push("left"), k: () => pressed.push("k") });
  const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  press(film, "ArrowLeft");
  press(film, "k");
  equal(pressed, ["k"]);
  press(document.body, "ArrowLeft");
  equal(pressed, ["k", "left"]);
}

export function a_chosen_film_is_downloaded_as_a_film_and_several_in_a_tab_of_their_own() {
  const links = [];
  const forms = [];
  HTMLAnchorElement.prototype.click = function () {
    links.push(new URL(this.href).pathname);
  };
  HTMLFormElement.prototype.submit = function () {
    forms.push([new URL(this.action).pathname, this.target, new FormData(this).get("pictures")]);
  };
  const [picture, film] = [{ job: "a", n: 1, seconds: null }, { job: "b", n: 2, seconds: 5 }];
  for (const chosen of [[picture], [film], [picture, film]]) downloadTiles(chosen);
  equal([links, forms], [["/files/a/1", "/files/b/2.mp4"], [["/api/zip", "_blank", "a/1 b/2"]]]);
}
