// The page of projects: what every page has.
import { startPage } from "../parts/shell.js";

startPage();
