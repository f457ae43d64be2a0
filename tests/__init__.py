"""The tests mirror the package: tests/<floor>/test_<module>.py. What they compare with lies beside them."""
