"""Rows of people's own models: projects with their pictures and labels, what was learned from them, and what
that said."""
