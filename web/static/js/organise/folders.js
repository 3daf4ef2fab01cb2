// The page of folders works by itself; this adds what every page has.
import { startPage } from "../core/page.js";

startPage();
