"""How the demo chat model is made: pictures, conversations about them, its image tower, its language."""
