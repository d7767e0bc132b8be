"""Floor 2: audio to features and back."""
