"""Networks of one's own, from files that may be anyone's: read, never unpickled."""
