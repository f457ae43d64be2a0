"""From files as they are found to checked series in the lake: read, label, check, merge, commit."""
