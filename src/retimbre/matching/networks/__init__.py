"""The networks that guess a patch from features: InverSynth's, and a residual one for musical voices."""
