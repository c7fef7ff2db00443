"""dragoman: a self-hosted server that is the Claude API, in front of any model.

Importing the package loads nothing else; the server is `dragoman serve` (see `dragoman.cli`).
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
