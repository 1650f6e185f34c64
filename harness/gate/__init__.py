"""A run against a policy: which rules hold, which are broken, which cannot be told yet."""
