"""The report of ``vidsr inspect --report``: faults on a time line, with pictures."""
