"""The fixtures of the broker's tests."""

from mqtt_watch import broker, growing, mosquitto

__all__ = ["broker", "growing", "mosquitto"]
