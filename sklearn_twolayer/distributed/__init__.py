"""Estimators for rows that live in the partitions of a Dask cluster."""
