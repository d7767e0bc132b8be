"""Generators that learn from examples what notes sound like, against critics that try to tell them from real ones."""
