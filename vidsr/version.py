"""The version of vidsr, also in ``vidsr.__version__``; pyproject.toml has the same."""

__version__ = "0.1.0"
