"""The contract suite every driver must pass, as a pytest plugin."""
