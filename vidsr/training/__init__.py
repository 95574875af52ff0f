"""Training ESRGAN: degradations, data sets, discriminators, losses, one readable loop, evaluation."""
