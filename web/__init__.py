"""The studio on the web: HTTP and only HTTP. What may be asked and seen is the studio's to decide."""
