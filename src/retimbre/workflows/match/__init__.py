"""Sounds in, ranked patches out: one sound, many files, what is written, and the page that shows it."""
