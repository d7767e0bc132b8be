"""Training from a run file, and the run folder that it leaves."""
