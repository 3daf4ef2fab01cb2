"""What people say to a studio: sentences of several writers, and the training of the small part that reads them."""
