"""One segment through three threads and two bounded channels."""
