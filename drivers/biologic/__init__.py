"""BioLogic potentiostats."""
