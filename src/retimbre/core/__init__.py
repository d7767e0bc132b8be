"""Floor 0: errors, configuration, randomness and whole files; knows nothing of sound."""
