"""The study `snr-pesq`: how much noise each representation of speech tolerates before one hears it."""
