"""KumoMTA over HTTP: messages that it delivers for us, and what its operators ask of it."""
