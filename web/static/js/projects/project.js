// The pictures of a project: more are dropped on the page, those that are there are labelled by keys.
import { element, pageData, startPage, unhide } from "../core/page.js";
import { startGrid } from "../../projects/grid.js";
import { Intake } from "../../projects/intake.js";
import { tellKept } from "../../projects/said.js";
import { startTraining } from "../../projects/training.js";

/** @import {Project} from "../../projects/types.js" */

const { project } = /** @type {{project: Project}} */ (pageData());

if (project.may.includes("add")) {
  unhide("add-own", "add-folder-place");
  new Intake(element("add", HTMLFormElement), "add", `/api/projects/${project.id}/pictures`, { sends: "each", zips: true });
}
if (document.getElementById("items")) startGrid(project);
startTraining(project);
tellKept();
startPage();
