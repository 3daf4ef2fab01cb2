"""Which waiting job runs next, where, and when: pure functions and indexes in memory."""
