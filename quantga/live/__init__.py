"""Floor 3: trading."""
