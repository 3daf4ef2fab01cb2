"""Programs for whoever works on Atelier: full-size models without their weights, and a card without one."""
