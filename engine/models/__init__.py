"""Models by short name: their construction, their calls, the call cache, the embedded model."""

from charter.models.call import Answer, Call

__all__ = ["Answer", "Call"]
