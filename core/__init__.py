"""The nouns of Atelier: requests, jobs, events, errors, prompt grammar, settings. No I/O but settings'
environment."""
