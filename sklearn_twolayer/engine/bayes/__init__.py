"""Bayesian inference: how strong the prior is, and how sure the network is of what it says."""
