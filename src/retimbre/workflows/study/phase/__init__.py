"""The study `phase`: how well each method finds the phases that a spectrogram has lost."""
