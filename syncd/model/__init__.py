"""What both sides talk about: pure data, no I/O, and nothing of ours is imported here."""
