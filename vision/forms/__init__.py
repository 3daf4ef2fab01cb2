"""Forms of answer: what a model is asked for, what is read from its words, and the picture that shows it.
Loads no torch."""
