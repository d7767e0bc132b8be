"""Procedural notes: eleven families of instruments drawn from a seed, any note of which can be had by its number."""
