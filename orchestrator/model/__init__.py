"""What people write and what happened: values only, no I/O."""
