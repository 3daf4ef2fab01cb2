"""Why a reader answers as it does: where in a picture it looked, and what of it speaks for a label."""
