"""/imagine: one to four pictures from words, or from words and a picture to start from."""

from core.events import Output
from core.requests import ImagineRequest
from vision.diffusion import prompt_embeddings, task
from vision.images.encode import Pictures
from vision.reporter import Reporter
from vision.store import Models


def run(request: ImagineRequest, images: Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities."""
    model = models.image(request.model, reporter)
    if prompt_embeddings.reference_pictures(request, images):
        models.attach_adapter(model, reporter)
    prepared = task.prepare_pictures(request, images, model)
    drawn = task.draw_pictures(prepared, model, reporter)
    return reporter.in_thread(lambda: task.finish_pictures(prepared, drawn, model))
