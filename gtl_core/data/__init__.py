"""Image sets: what they are, how files become one, the demo sets, few-shot draws and data versions."""
