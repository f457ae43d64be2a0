"""Floor 0: what a strategy may say. Nothing here can name the future, a clock, a file or a random source."""
