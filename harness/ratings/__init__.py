"""What people say of systems: ratings on a scale and preferences between two, read, checked for agreement, and ranked."""
