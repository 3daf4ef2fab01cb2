"""What members keep and look at: gallery, collections, shares, downloads, smaller forms of files."""
