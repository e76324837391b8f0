"""Checking a data set before anything is trained or measured on it: what is wrong, where, and what to do."""
