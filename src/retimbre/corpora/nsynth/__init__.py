"""NSynth's layout, read, filtered and written."""
