// A page that says what went wrong.
import { startPage } from "./parts/shell.js";

startPage();
