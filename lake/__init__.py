"""The command line. One module per group of commands; `__main__` puts them together."""
