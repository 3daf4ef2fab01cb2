"""The application: what a person may ask, see, keep and delete, whatever door they come by."""
