"""Commands about one's own things: settings, jobs, favourites, data."""
