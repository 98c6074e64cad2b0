"""Networks of the user's own, in files; `network_file` says what is opened."""
