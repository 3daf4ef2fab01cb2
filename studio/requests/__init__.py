"""From words and buttons to requests that can be queued."""
