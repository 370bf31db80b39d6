"""The fixtures of the broker's tests."""

from mqtt_watch import growing, mosquitto

__all__ = ["growing", "mosquitto"]
