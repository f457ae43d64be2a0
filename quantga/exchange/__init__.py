"""A paper exchange that speaks Hyperliquid's protocol.

It imports nothing of our own client, engine or language: the venue's SDK and recorded answers are its oracles.
"""
