// The page of sets of examples: what every page has.
import { startPage } from "../parts/shell.js";

startPage();
