"""The editor's document: what it holds, where it is kept, and what is asked when somebody sends it."""
