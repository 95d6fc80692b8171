"""The streaming worker and the command line."""
