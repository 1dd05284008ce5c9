"""The two ways an expression can be wrong: as it is written, and when it is used.

Both are ValueErrors, so that a pydantic validator may let the first one through. Neither ever holds what an expression
was applied to. The first one does not quote the expression either, since it ends up in messages about documents, and
people do paste credentials into the wrong field.
"""

from __future__ import annotations


class ExpressionError(ValueError):
    """An expression that does not compile. ``line`` is the 1-based line within it, 0 where there is none to name."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.message = message
        self.line = line


class RenderError(ValueError):
    """An expression that failed for one input. Says what kind of failure and on which line of the expression."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.message = message
        self.line = line
