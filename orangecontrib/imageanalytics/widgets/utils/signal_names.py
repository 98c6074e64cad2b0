"""English names of signals, by which old workflows know them.

Orange finds the signals of a link by their ids, which are the same in all languages.
Earlier versions of it have stored only the names. They are put into ``replaces`` of
those widgets that are as old.
"""

DATA = ("Data",)
IMAGES = ("Images",)
EMBEDDINGS = ("Embeddings",)
DATA_SUBSET = ("Data Subset",)
SELECTED_IMAGES = ("Selected Images",)
SKIPPED_IMAGES = ("Skipped Images",)
