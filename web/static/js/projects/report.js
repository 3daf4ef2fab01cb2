// The report of a version works by itself; this tells how far a training is and when a bundle is there.
import { pageData, startPage } from "../core/page.js";
import { startOpen } from "../../projects/open.js";
import { startTraining } from "../../projects/training.js";

/** @import {Project} from "../../projects/types.js" */

const { project } = /** @type {{project: Project}} */ (pageData());

if (!startTraining(project)) startOpen();
startPage();
