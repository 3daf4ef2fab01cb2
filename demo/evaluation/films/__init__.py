"""How well films show and do what they were asked for."""
