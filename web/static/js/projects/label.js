// The desk where one picture after the other is labelled, or boxes are drawn on it, by keys or by pressing.
import { element, pageData, startPage } from "../core/page.js";
import { Desk } from "../../projects/desk.js";
import { ThingDesk } from "../../projects/things.js";

/** @import {Box, Item, Project} from "../../projects/types.js" */

const { project, picture, boxes } = /** @type {{project: Project, picture: Item | null, boxes: Box[]}} */ (pageData());

if (picture) {
  const place = element("desk", HTMLElement);
  if (project.task === "detect") new ThingDesk(place, project, picture, boxes);
  else new Desk(place, project, picture);
}
startPage();
