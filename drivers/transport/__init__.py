"""Media: serial, TCP, VISA, memory, replay, each with its recorder; and virtual time."""
