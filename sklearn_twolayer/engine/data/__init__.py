"""The data: where rows live, and in which units the engine sees them."""
