"""Millions of images, embedded by several processes or computers."""
