"""The embedded Argilla: the real server with its own web UI, installed apart, on loopback."""
