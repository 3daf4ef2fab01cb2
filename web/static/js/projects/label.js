// The desk where one picture after the other is labelled, by keys or by pressing.
import { element, pageData } from "../core/page.js";
import { startPage } from "../parts/shell.js";
import { Desk } from "../../projects/desk.js";

/** @import {Item, Project} from "../../projects/types.js" */

const { project, picture } = /** @type {{project: Project, picture: Item | null}} */ (pageData());

if (picture) new Desk(element("desk", HTMLElement), project, picture);
startPage();
