"""A queue that several programs share: one leads and starts the jobs, all ask, watch and tell."""
