"""What runs inside Argilla's own environment: imports argilla_server, never charter."""
