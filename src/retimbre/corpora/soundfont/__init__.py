"""Notes of recorded instruments, played by FluidSynth."""
