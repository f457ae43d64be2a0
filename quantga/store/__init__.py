"""Floor 1: where things are kept. A lake of write-once files is the truth; the catalog is an index over it."""
