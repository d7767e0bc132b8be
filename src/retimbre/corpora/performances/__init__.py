"""Piano pieces that nobody wrote, performed: MIDI drawn by chance, to be played by a SoundFont."""
