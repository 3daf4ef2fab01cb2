"""Own models in Discord: projects with their pictures and labels, trainings, and verdicts."""
