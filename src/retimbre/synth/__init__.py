"""Floor 2: knobs to audio. Parameter spaces, the built-in instruments and their patch files."""
