"""A Zahner potentiostat behind Thales: telegrams, Remote2 commands, set values."""
