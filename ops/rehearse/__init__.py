"""A rehearsal on a throw-away host: the deploys, the broken ones and the crashes that may come, with their numbers."""
