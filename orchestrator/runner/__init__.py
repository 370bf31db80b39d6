"""The run: its states, its steps, its samples and its acquisitions; whoever reads this room alone knows a night's whole story."""
