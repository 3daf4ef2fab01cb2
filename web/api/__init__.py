"""How programs are told what they may ask: the bodies of calls, and all of it as OpenAPI."""
