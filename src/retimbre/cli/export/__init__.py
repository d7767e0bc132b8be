"""`retimbre export`: a module per command, and `group.py`, which lists them."""
