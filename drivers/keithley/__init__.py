"""Keithley 2450, 2460 and 2461 source-measure units over SCPI."""
