"""Floor 3: sound matching. From a sound to the knobs of a synthesizer."""
