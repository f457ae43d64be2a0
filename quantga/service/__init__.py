"""Floor 4: what evolves, what is believed and what trades, over HTTP: an API, and a page for the browser."""
