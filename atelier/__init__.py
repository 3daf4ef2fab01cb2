"""What programs on other machines need to use a studio. It imports nothing else of Atelier."""
