"""How well sets of examples teach, in the drawn world."""
