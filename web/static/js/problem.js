// A page that says what went wrong.
import { startPage } from "./core/page.js";

startPage();
