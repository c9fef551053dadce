"""Spot-checks: choosing rows of a published version for people to look at."""

from charter.review.choose import Chosen, choose_rows

__all__ = ["Chosen", "choose_rows"]
