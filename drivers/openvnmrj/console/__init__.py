"""The console's side: parameters, acquisition, VnmrJ's foreground and its commands."""
