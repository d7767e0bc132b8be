"""Piano performances with what the keys and the pedal did."""
