"""Films that people send: strangers' MP4, WebM, GIF and their kin, of which only pictures come in."""
