"""The local web app and its HTTP API (extra ``web``)."""
