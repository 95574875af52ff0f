"""What can be chosen: the options of the commands, how they are declared, read, layered and written."""
