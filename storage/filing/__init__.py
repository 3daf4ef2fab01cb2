"""Where files lie: in a folder, or in a bucket with a cache on this machine's disk."""
