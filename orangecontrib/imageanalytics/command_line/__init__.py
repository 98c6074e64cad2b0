"""The commands of ``python -m orangecontrib.imageanalytics``, a module each."""
