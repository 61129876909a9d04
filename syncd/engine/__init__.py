"""Recover, feed, settle: three steps, each of which can be interrupted at any point (design §5)."""
