"""What every driver says, and who does its work: samples in blocks, a console's events in order, tasks that end with it."""
