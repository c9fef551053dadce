"""Charter: from a written constitution to versioned alignment datasets and trained models.

The rooms are subpackages: `charter.constitutions`, `charter.recipes`, `charter.steps`,
`charter.hub`, `charter.review`, `charter.trainers` and `charter.evals`. Importing this
package imports none of them, and no torch, distilabel, trl or argilla.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
