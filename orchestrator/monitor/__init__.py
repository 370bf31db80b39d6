"""What people see of a run: a view built from the journal's events, drawn on a terminal (MQTT and the page come on top)."""
