"""Waves before and after an envelope."""
