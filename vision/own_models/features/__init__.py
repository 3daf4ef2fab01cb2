"""What is seen of a picture by each backbone: a map of features and one vector of the whole."""
