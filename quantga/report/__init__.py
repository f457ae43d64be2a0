"""What a person sees of a run: one self-contained HTML page, and a rule in words and as a tree."""
