"""What runs a network on a device: the protocol, the backends, and how one is chosen after it was compared."""
