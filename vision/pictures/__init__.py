"""Pictures as arrays and files: encoding, pixel formats, tiles and charts."""
