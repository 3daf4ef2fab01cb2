"""What each route does: coroutines of a call, which never see the HTTP request."""
