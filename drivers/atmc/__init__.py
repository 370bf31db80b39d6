"""An automatic tuning and matching cycler that the console's own pulse program starts and waits for."""
