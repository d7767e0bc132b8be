"""How the earlier programs were called, and what of this program does the same."""
