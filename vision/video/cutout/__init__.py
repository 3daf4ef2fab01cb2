"""Videos without a video model: a picture is drawn, its object is cut out and moved over the filled
background, and the image model draws over all frames a little."""
