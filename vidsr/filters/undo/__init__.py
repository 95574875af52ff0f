"""What restoration leaves as it was: masks, and the count of what each filter changed."""
