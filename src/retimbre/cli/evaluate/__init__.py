"""`retimbre evaluate`: a module per command, listed in `group.py`."""
