"""People's own models: projects, their pictures and labels, training, trying, and what is taken elsewhere."""
