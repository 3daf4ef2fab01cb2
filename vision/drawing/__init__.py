"""How a picture is drawn: from a request to pipeline arguments, through the steps, to the picture."""
