"""What members do with pictures of their own: put away, sort into folders, take along, show to others."""
