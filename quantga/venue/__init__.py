"""Floor 1: how the venue is spoken to. Pure I/O without Ray; the paper exchange imports none of it, nor it the exchange's code."""
