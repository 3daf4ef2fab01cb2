// The page of one's own data: what every page has.
import { startPage } from "./parts/shell.js";

startPage();
