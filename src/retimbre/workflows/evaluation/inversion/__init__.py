"""How well inverters recover knobs and re-create recordings."""
