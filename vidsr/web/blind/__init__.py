"""The page of ``vidsr compare --blind``: two pictures, no names, one vote."""
