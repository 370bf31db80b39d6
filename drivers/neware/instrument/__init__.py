"""A Neware cycler behind its BTS software: messages, step files, channels."""
