"""Floor 4: what can be measured and told of a running quantga: metrics, logs without secrets."""
