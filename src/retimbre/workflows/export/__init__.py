"""Models as files that other programs run, as instruments and as data sets."""
