// The page on which a conversation about pictures begins.
import { ago } from "./core/text.js";
import { QuestionBar } from "./parts/question-bar.js";
import { startPage } from "./core/page.js";

if (document.getElementById("talk-bar")) new QuestionBar("/api/talk", true).field.focus({ preventScroll: true });
for (const time of document.querySelectorAll("time")) time.textContent = ago(time.dateTime);
startPage();
