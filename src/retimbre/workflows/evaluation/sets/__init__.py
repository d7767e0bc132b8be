"""Sets of sounds: from files to clips, from clips to vectors, from vectors to numbers with intervals."""
