"""MethodSCRIPT as the instrument executes it: language, compiler, machine and front end; no I/O, no clock."""
