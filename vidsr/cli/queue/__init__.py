"""The commands of ``vidsr jobs queue``."""
