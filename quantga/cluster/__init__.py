"""Where work runs: which Ray, how batches are fanned out, and the story of a run; ray is imported only here."""
