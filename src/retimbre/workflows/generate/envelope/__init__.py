"""An envelope on any sound: what is asked for, the model that does it, and how near it came."""
