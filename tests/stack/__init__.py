"""The whole local stack as a process of its own, as people run it."""
