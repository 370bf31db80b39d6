"""PalmSens instruments that speak MethodSCRIPT: EmStat4, Nexus, EmStat Pico."""
