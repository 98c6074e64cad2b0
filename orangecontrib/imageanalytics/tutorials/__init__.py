"""Example workflows, with the photos that they use."""
