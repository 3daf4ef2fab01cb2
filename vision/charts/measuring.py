"""What can be told of a picture without a chat model: the text in it, or the numbers of a bar chart."""

from __future__ import annotations

from core.errors import ModelError, UserError
from core.events import Output
from core.requests import AskRequest
from core.results.text_lines import lines_in_rows
from vision.charts import reading
from vision.forms import showing
from vision.model_store import Models
from vision.pictures import encode
from vision.protocol import Measure, Measured, Talk
from vision.reporter import Reporter

FORMS = ("table", "text")
NO_BARS = (
    "This is no bar chart that can be measured by its axis, and this studio has no chat model that could read"
    " it in another way."
)


def instead(
    request: AskRequest, talk: Talk, paths: dict[str, str], models: Models, reporter: Reporter
) -> Output | None:
    """Return an answer that needs no chat model, None where one has to be asked: also where somebody wants
    other words. Raises UserError where there is none to be asked."""
    names = [name for name in showing.pictures_of(talk) if name in paths]
    has_model = bool(models.config.models.get("ask"))
    if talk.answer in FORMS and names and not (request.temperature and has_model):
        if talk.answer == "text" or len(names) == 1:
            files = [paths[name] for name in names]
            found = [measure(Measure("", file, talk.answer), models, reporter) for file in files]
            known = [one for one in found if one is not None]
            if known and len(known) == len(found):
                return reporter.in_thread(lambda: showing.measured(talk.answer, known, files))
    if not has_model and talk.answer in FORMS:
        raise UserError(NO_BARS)
    return None


def measure(question: Measure, models: Models, reporter: Reporter) -> Measured | None:
    """Return what can be told of a picture, None where that is nothing, or nothing here reads text. Raises
    ImageError for a picture that can't be read."""
    if not models.config.models.get("ocr"):
        return None
    try:
        reader = models.get("ocr", reporter)
    except ModelError:
        return None
    image = reporter.in_thread(lambda: encode.open_picture(question.path))
    if question.form == "table":
        table = reading.read(image, lambda part: reader.read(part, reporter), reporter.in_thread)
        return None if table is None else Measured(image.size, reader.name, table=table)
    lines = tuple(line for row in lines_in_rows(reader.read(image, reporter)) for line in row)
    return Measured(image.size, reader.name, lines=lines)
