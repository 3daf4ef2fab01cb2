// The shortcuts, and the switch for those that are letters.
import { showHere } from "./parts/here.js";
import { startPage } from "./parts/shell.js";

showHere();
startPage();
