"""Finding pictures: by their words, by what they show, by what is known of them."""
