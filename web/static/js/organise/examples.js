// The page of sets of examples works by itself; this adds what every page has.
import { startPage } from "../core/page.js";

startPage();
