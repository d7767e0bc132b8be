"""Floor 6: one command per workflow. Parses, calls, prints."""
