"""What people say to a studio: conversations of several writers, and what is learned from them."""
