"""Data sets: what one is to be, making it shard by shard, importing recordings, and checking it."""
