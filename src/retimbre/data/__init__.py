"""Floor 2: files to batches of audio, with labels, splits and checksums."""
