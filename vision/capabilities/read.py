"""/read: the text in a picture, line by line, and the picture with a box around each."""

from core.errors import UserError
from core.events import Output
from core.requests import ReadRequest
from core.results import lines_in_rows
from vision.images import encode
from vision.readers import ocr
from vision.reporter import Reporter
from vision.store import Models

MISSING = "This studio has no model that reads text. The operator can install one: make setup EXTRAS=ocr."
NOTHING = "There is no text in this picture that could be read."
FULL = f"Only the first {ocr.MOST_LINES:,} lines were read."


def run(request: ReadRequest, images: encode.Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities. A step is a line."""
    if not models.config.models.get("ocr"):
        raise UserError(MISSING)
    reader, image = models.get("ocr", reporter), images[request.image]
    found = reader.read(image, reporter)
    if not found:
        raise UserError(NOTHING)
    lines = tuple(line for row in lines_in_rows(found) for line in row)
    sheet = reporter.in_thread(lambda: encode.drawing(ocr.draw_lines(image, lines)))
    notes = [FULL] if len(lines) >= ocr.MOST_LINES else []
    size = {"width": image.width, "height": image.height}
    parameters = {"kind": request.kind, "model": reader.name, **size, "notes": notes}
    return Output(grid=sheet, lines=lines, parameters=parameters)
