"""Floor 1: whether a discovery may be believed. Pure: markets made of chance, and what chance does to a search."""
