"""Any instrument that answers a line with a line: a sensor, or an actuator, described in the rig file by query and pattern."""
