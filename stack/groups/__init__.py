"""The components, a module for each group that is asked for together."""
