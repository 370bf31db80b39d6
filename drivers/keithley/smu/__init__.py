"""The inside of an emulated source-measure unit: its language, its output, its buffers, its trigger model."""
