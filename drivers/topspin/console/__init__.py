"""TopSpin's side: data sets, acquisition server, command line, the functions of ``TopCmds``."""
