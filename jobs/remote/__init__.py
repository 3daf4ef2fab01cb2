"""The remote executor: questions put to a server with OpenAI's interface."""
