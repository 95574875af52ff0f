"""Further terms of a generator's loss: of pixels, of time, of features; and which of them a run weighs how."""
