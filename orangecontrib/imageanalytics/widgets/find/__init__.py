"""Parts of the widget Find Images."""
