"""Sets of sounds as folders that the library `datasets` loads."""
