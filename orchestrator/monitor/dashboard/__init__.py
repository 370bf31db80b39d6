"""The page of the night: an MQTT client that draws, and nothing else."""
