"""How programs change: a typed generator, variation, selection and islands, all pure functions of named streams."""
