// The report of a version: this tells how far a training is and when a bundle is there.
import { pageData } from "../core/page.js";
import { startPage } from "../parts/shell.js";
import { startOpen } from "../../projects/open.js";
import { startTraining } from "../../projects/training.js";

/** @import {Project} from "../../projects/types.js" */

const { project } = /** @type {{project: Project}} */ (pageData());

if (!startTraining(project)) startOpen();
startPage();
