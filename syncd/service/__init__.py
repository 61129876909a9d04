"""Runs passes: once for the command line, for ever as a service."""
