"""The networks of generators and critics, one module per family; `catalog.py` lists them."""
