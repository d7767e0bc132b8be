"""Learning a basis: functions such that few of them make a sound, and the networks that judge what comes of it."""
