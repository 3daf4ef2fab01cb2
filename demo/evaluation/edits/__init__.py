"""How well the demo's editor does what it is asked, and leaves the rest."""
