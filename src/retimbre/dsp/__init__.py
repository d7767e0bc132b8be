"""Floor 1: pure functions of audio tensors, and the one door through which sound files come and go."""
