"""Datasets: made from footage, stored, loaded, shown."""
