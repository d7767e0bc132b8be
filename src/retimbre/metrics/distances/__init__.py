"""How far one set of sounds is from another: distances between sets of vectors, and scores of one set."""
