// The shortcuts, and the switch for those that are letters.
import { showHere } from "./parts/here.js";
import { startPage } from "./core/page.js";

showHere();
startPage();
