"""A job's life: admit, order, dispatch, retry, cancel, recover. Knows neither Discord nor tensors."""
