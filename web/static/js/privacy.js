// The page of one's own data works by itself; this adds what every page has.
import { startPage } from "./core/page.js";

startPage();
