// The settings of a project work by themselves; this asks before the project goes.
import { element, pageData, startPage } from "../core/page.js";

/** @import {Project} from "../../projects/types.js" */

const { project } = /** @type {{project: Project}} */ (pageData());

if (document.getElementById("forget")) {
  const form = element("forget", HTMLFormElement);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { confirmed } = await import("../parts/dialog.js");
    if (await confirmed(`Forget ${project.name}?`, "Its pictures, labels and versions go for good.", "Forget it", { bad: true })) form.submit();
  });
}
startPage();
