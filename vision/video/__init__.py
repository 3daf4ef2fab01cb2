"""Videos: what a video model is asked, how that is drawn in windows, and how its frames come out piece by
piece.

The models' families are in ``families``. Importing the package loads no torch."""
