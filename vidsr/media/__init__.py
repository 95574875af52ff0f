"""Containers and codecs: probe, index, decode, encode, assemble, verify. All PyAV lives here."""
