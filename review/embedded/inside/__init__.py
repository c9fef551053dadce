"""What runs inside Argilla's own environment: imports argilla_server, never charter's other rooms.

Argilla's server pins an older pydantic, so it has an environment of its own, where charter is not
installed. `boot.py` is run there by its path; it makes empty packages of the names above this one,
so that the modules here import each other by the names they have everywhere:
`from charter.review.embedded.inside.engine import CharterSearchEngine`.
Nothing is imported here: the package can also be read where argilla_server is not installed.
"""

__all__: list[str] = []
