"""Sounds from generators: drawn by chance, over the keys, on the way between two, and from MIDI files."""
