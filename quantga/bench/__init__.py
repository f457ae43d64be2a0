"""How fast quantga is, measured beside what its users would otherwise write."""
