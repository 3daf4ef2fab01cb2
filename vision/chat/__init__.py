"""Models that talk about pictures: ``AutoModelForImageTextToText`` with a chat template."""
