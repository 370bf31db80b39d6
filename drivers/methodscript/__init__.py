"""PalmSens instruments that speak MethodSCRIPT."""
