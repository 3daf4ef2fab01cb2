// The page that asks a project's model: pictures are dropped on it, and verdicts appear as they come.
import { element, pageData, startPage, unhide } from "../core/page.js";
import { Intake } from "../../projects/intake.js";
import { startOpen } from "../../projects/open.js";

/** @import {Project} from "../../projects/types.js" */

const { project } = /** @type {{project: Project}} */ (pageData());

if (document.getElementById("try")) {
  unhide("try-own");
  new Intake(element("try", HTMLFormElement), "try", `/api/projects/${project.id}/try`, { sends: "all", zips: false });
}
startOpen();
startPage();
